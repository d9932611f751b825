package xmlrpc

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep values may nest, as in 4.6.
const MaxDepth = 64

// DecodeCall decodes a methodCall document. The fault it returns for anything
// else is the answer to send.
func DecodeCall(body []byte) (*Call, *Fault) {
	d, err := parseDocument(body)
	if err != nil {
		return nil, callFault("Call is not valid XML.  " + err.Error())
	}
	defer d.release()
	c, err := d.call()
	if err != nil {
		return nil, callFault(err.Error())
	}
	return c, nil
}

// DecodeResponse decodes a methodResponse document: its result, or its fault, or
// an error when it is neither.
func DecodeResponse(body []byte) (Value, *Fault, error) {
	d, err := parseDocument(body)
	if err != nil {
		return Value{}, nil, fmt.Errorf("response is not valid XML: %w", err)
	}
	defer d.release()
	v, f, err := d.response()
	if err != nil {
		return Value{}, nil, fmt.Errorf("not an XML-RPC response: %w", err)
	}
	return v, f, nil
}

// callError says in the words of 4.6, which are on the wire, why a document is no
// XML-RPC call.
type callError string

func (e callError) Error() string { return string(e) }

func badCall(format string, args ...any) error { return callError(fmt.Sprintf(format, args...)) }

func (d *document) call() (*Call, error) {
	root := &d.nodes[0]
	if string(root.name) != "methodCall" {
		return nil, badCall("XML-RPC call should be a <methodCall> element.  Instead, we have a <%s> element.", root.name)
	}
	name := d.child(root, "methodName")
	if name == nil {
		return nil, badCall("Expected <methodCall> to have child <methodName>")
	}
	if name.kids > 0 {
		return nil, badCall("A <methodName> element should not have children.  This one has %d of them.", name.kids)
	}
	method, err := d.string(name)
	if err != nil {
		return nil, err
	}
	c := &Call{Method: method}
	if root.kids == 1 {
		return c, nil
	}
	params := d.child(root, "params")
	if params == nil {
		return nil, badCall("Expected <methodCall> to have child <params>")
	}
	if c.Params, err = d.params(params); err != nil {
		return nil, err
	}
	if root.kids > 2 {
		return nil, badCall("<methodCall> has extraneous children, other than <methodName> and <params>.  Total child count = %d", root.kids)
	}
	return c, nil
}

func (d *document) response() (Value, *Fault, error) {
	root := &d.nodes[0]
	if string(root.name) != "methodResponse" || root.kids != 1 {
		return Value{}, nil, errors.New("no <methodResponse> with one child")
	}
	body := &d.nodes[root.first]
	switch string(body.name) {
	case "params":
		params, err := d.params(body)
		if err != nil {
			return Value{}, nil, err
		}
		if len(params) != 1 {
			return Value{}, nil, fmt.Errorf("%d results", len(params))
		}
		return params[0], nil, nil
	case "fault":
		vn, err := d.only(body, "value")
		if err != nil {
			return Value{}, nil, err
		}
		v, err := d.value(vn, MaxDepth)
		if err != nil {
			return Value{}, nil, err
		}
		return d.fault(v)
	}
	return Value{}, nil, fmt.Errorf("<%s> in <methodResponse>", body.name)
}

func (d *document) fault(v Value) (Value, *Fault, error) {
	code, _ := v.Field("faultCode")
	text, _ := v.Field("faultString")
	n, okCode := code.AsInt()
	s, okText := text.AsString()
	if !okCode || !okText {
		return Value{}, nil, errors.New("fault without faultCode and faultString")
	}
	return Value{}, &Fault{Code: n, Text: s}, nil
}

// child returns the first child with the given name, nil if there is none.
func (d *document) child(n *node, name string) *node {
	for i := n.first; i != 0; i = d.nodes[i].next {
		if string(d.nodes[i].name) == name {
			return &d.nodes[i]
		}
	}
	return nil
}

// only returns the one child of n, which must have the given name.
func (d *document) only(n *node, name string) (*node, error) {
	if n.kids != 1 {
		return nil, badCall("Expected <%s> to have 1 children, found %d", n.name, n.kids)
	}
	c := &d.nodes[n.first]
	return c, expectName(c, name)
}

func expectName(n *node, name string) error {
	if string(n.name) != name {
		return badCall("Expected element of type <%s>, found <%s>", name, n.name)
	}
	return nil
}

func (d *document) params(n *node) ([]Value, error) {
	params := make([]Value, 0, n.kids)
	for i := n.first; i != 0; i = d.nodes[i].next {
		p := &d.nodes[i]
		if err := expectName(p, "param"); err != nil {
			return nil, err
		}
		vn, err := d.only(p, "value")
		if err != nil {
			return nil, err
		}
		v, err := d.value(vn, MaxDepth)
		if err != nil {
			return nil, err
		}
		params = append(params, v)
	}
	return params, nil
}

// value decodes a <value> element; depth is how many levels it may still have.
func (d *document) value(n *node, depth int) (Value, error) {
	if depth == 0 {
		return Value{}, badCall("Nested data structure too deep.")
	}
	switch n.kids {
	case 0:
		s, err := d.string(n)
		return String(s), err
	case 1:
		return d.typed(&d.nodes[n.first], depth)
	}
	return Value{}, badCall("<value> has %d child elements.  Only zero or one make sense.", n.kids)
}

// typed decodes the type element inside a <value>.
func (d *document) typed(n *node, depth int) (Value, error) {
	switch string(n.name) {
	case "array":
		return d.array(n, depth)
	case "struct":
		return d.structure(n, depth)
	}
	if n.kids > 0 {
		return Value{}, badCall("The child of a <value> element is neither <array> nor <struct>, but has %d child elements of its own.", n.kids)
	}
	switch string(n.name) {
	case "string":
		s, err := d.string(n)
		return String(s), err
	case "int", "i4", "i1", "i2":
		return parseInt(string(n.text))
	case "boolean":
		return parseBool(string(n.text))
	case "double":
		return parseDouble(string(n.text))
	case "nil", "ex:nil":
		return Nil(), nil
	case "i8", "ex:i8":
		return parseI8(string(n.text))
	case "dateTime.iso8601":
		return parseDateTime(string(n.text))
	case "base64":
		return parseBase64(n.text)
	}
	return Value{}, badCall("Unknown value type -- XML element is named <%s>", n.name)
}

func (d *document) array(n *node, depth int) (Value, error) {
	if n.kids != 1 {
		return Value{}, badCall("<array> element has %d children.  Only one <data> makes sense.", n.kids)
	}
	data := &d.nodes[n.first]
	if string(data.name) != "data" {
		return Value{}, badCall("<array> element has <%s> child.  Only <data> makes sense.", data.name)
	}
	items := make([]Value, 0, data.kids)
	for i := data.first; i != 0; i = d.nodes[i].next {
		vn := &d.nodes[i]
		if string(vn.name) != "value" {
			return Value{}, badCall("<data> element has <%s> child.  Only <value> makes sense.", vn.name)
		}
		v, err := d.value(vn, depth-1)
		if err != nil {
			return Value{}, err
		}
		items = append(items, v)
	}
	return Array(items...), nil
}

func (d *document) structure(n *node, depth int) (Value, error) {
	v := Value{kind: KindStruct}
	index := make(map[string]int, n.kids)
	for i := n.first; i != 0; i = d.nodes[i].next {
		m := &d.nodes[i]
		if string(m.name) != "member" {
			return Value{}, badCall("<%s> element found where only <member> makes sense", m.name)
		}
		name, val, err := d.member(m, depth)
		if err != nil {
			return Value{}, err
		}
		if at, known := index[name]; known {
			v.items[at] = val // the last of equal names counts, as in 4.6
			continue
		}
		index[name] = len(v.items)
		v.names = append(v.names, name)
		v.items = append(v.items, val)
	}
	return v, nil
}

func (d *document) member(m *node, depth int) (string, Value, error) {
	if m.kids != 2 {
		return "", Value{}, badCall("<member> element has %d children.  Only one <name> and one <value> make sense.", m.kids)
	}
	nn := d.child(m, "name")
	if nn == nil {
		return "", Value{}, badCall("<member> has no <name> child")
	}
	if nn.kids > 0 {
		return "", Value{}, badCall("<name> element has %d children.  Should have none.", nn.kids)
	}
	name, err := d.string(nn)
	if err != nil {
		return "", Value{}, err
	}
	vn := d.child(m, "value")
	if vn == nil {
		return "", Value{}, badCall("<member> has no <value> child")
	}
	v, err := d.value(vn, depth-1)
	return name, v, err
}

// string returns the text of an element as a string value has it: valid UTF-8
// with LF line ends only.
func (d *document) string(n *node) (string, error) {
	if err := checkUTF8(n.text); err != nil {
		return "", err
	}
	s := string(n.text)
	if d.hasCR && strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	return s, nil
}

// checkUTF8 says in 4.6's words what is malformed in text, which consists of
// sequences charAt accepts. Unlike 4.6 it allows characters beyond U+FFFF.
func checkUTF8(text []byte) error {
	if utf8.Valid(text) {
		return nil
	}
	detail := "Overlong UTF-8 sequence not allowed"
	for i := 0; i < len(text); {
		n, _ := charAt(text, i)
		if !utf8.Valid(text[i : i+n]) {
			for _, c := range text[i+1 : i+n] {
				if c&0xC0 != 0x80 {
					detail = fmt.Sprintf("UTF-8 multibyte sequence contains character 0x%02x, which does not indicate continuation.", uint32(int8(c)))
					break
				}
			}
			break
		}
		i += n
	}
	return badCall("%d-byte supposed UTF-8 string is not valid UTF-8.  %s", len(text), detail)
}
