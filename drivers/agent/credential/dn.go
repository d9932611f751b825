package credential

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strings"
)

// shortNames are OpenSSL's for the attributes that occur in subjects; others
// appear as numbers.
var shortNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description",
	"2.5.4.15": "businessCategory", "2.5.4.17": "postalCode", "2.5.4.41": "name", "2.5.4.42": "GN", "2.5.4.43": "initials",
	"2.5.4.44": "generationQualifier", "2.5.4.45": "x500UniqueIdentifier", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName",
}

// attribute is one part of a name, with its value as it is encoded.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// subject is a certificate's subject in OpenSSL's one-line form, as users'
// passwords hold it: `/C=ES/O=Cloud/CN=Ann Example`.
func subject(c *x509.Certificate) string { return oneLine(c.RawSubject) }

func issuer(c *x509.Certificate) string { return oneLine(c.RawIssuer) }

// oneLine is empty for a name that is not well-formed.
func oneLine(raw []byte) string {
	var names []asn1.RawValue
	if _, err := asn1.Unmarshal(raw, &names); err != nil {
		return ""
	}
	var b strings.Builder
	for _, n := range names {
		var attributes []attribute
		if _, err := asn1.UnmarshalWithParams(n.FullBytes, &attributes, "set"); err != nil {
			return ""
		}
		for _, a := range attributes {
			name := a.Type.String()
			if short, ok := shortNames[name]; ok {
				name = short
			}
			b.WriteString("/" + name + "=")
			for _, c := range a.Value.Bytes {
				if c < ' ' || c > '~' {
					fmt.Fprintf(&b, `\x%02X`, c)
					continue
				}
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}

// escapeDN replaces white space, which a password cannot have on its way to a
// driver.
func escapeDN(dn string) string {
	var b strings.Builder
	for _, r := range dn {
		switch r {
		case ' ', '\t', '\n', '\v', '\f', '\r':
			fmt.Fprintf(&b, `\%x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// sameDN compares names in the escaped form: newer releases of OpenSSL put a
// backslash before a slash or plus sign inside a value, older ones do not.
func sameDN(a, b string) bool { return withoutMarks.Replace(a) == withoutMarks.Replace(b) }

var withoutMarks = strings.NewReplacer(`\/`, "/", `\+`, "+")
