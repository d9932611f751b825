package template

import "strings"

// Text returns the text form, one attribute a line, every value quoted.
// ParseText reads it back to an equal template, provided that the template is
// XMLSafe and that its names and keys are ones the text form has: A-B, a key in
// lower case or a name that begins with XML come only from elsewhere. A
// vector without keys cannot be written and is left out.
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
