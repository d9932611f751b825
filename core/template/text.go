package template

import "strings"

// Text returns the text form, one attribute a line, every value quoted. Parse
// reads it back to an equal template if each name and key is one that Parse
// gives (XML names such as A-B and keys in lower case come only from the XML
// form), no value contains "]]>" (see XMLSafe), and the template begins with
// no NAME that Parse would trim. A vector without keys cannot be written and
// is left out.
func (t *Template) Text() string {
	var b strings.Builder
	for a := range t.Attrs() {
		switch {
		case a.Vec == nil:
			b.WriteString(a.Name)
			b.WriteByte('=')
			writeQuoted(&b, a.Value)
		case a.Vec.Len() == 0:
			continue
		default:
			b.WriteString(a.Name)
			b.WriteString("=[")
			for i, p := range a.Vec.Pairs() {
				if i > 0 {
					b.WriteByte(',')
				}
				b.WriteString(p.Key)
				b.WriteByte('=')
				writeQuoted(&b, p.Value)
			}
			b.WriteByte(']')
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// writeQuoted writes a value in quotes. A backslash at its end would escape
// the closing quote if another quote followed; the comment behind it holds the
// one thing no quoted string can run over.
func writeQuoted(b *strings.Builder, value string) {
	b.WriteByte('"')
	b.WriteString(strings.ReplaceAll(value, `"`, `\"`))
	b.WriteByte('"')
	if strings.HasSuffix(value, `\`) {
		b.WriteString("#]]>\n")
	}
}
