package run

import (
	"encoding/base64"

	"github.com/beevik/etree"
)

// ArgumentLimit is the longest argument that Linux gives to a program
// (MAX_ARG_STRLEN, with the byte that ends it).
const ArgumentLimit = 128<<10 - 1

// FitDocument is a document in base64 as a script gets it. What is too long for
// an argument loses the elements on the expendable paths below its root, in
// their order and no more of them than it takes: the script could not be run at
// all otherwise. A document that is too long without them is left as it is.
func FitDocument(encoded string, expendable ...string) string {
	if len(encoded) <= ArgumentLimit {
		return encoded
	}
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return encoded
	}
	doc := etree.NewDocument()
	doc.ReadSettings.PreserveCData = true
	if err := doc.ReadFromBytes(data); err != nil || doc.Root() == nil {
		return encoded
	}
	for _, path := range expendable {
		for _, e := range doc.Root().FindElements("./" + path) {
			e.Parent().RemoveChild(e)
		}
		if data, err = doc.WriteToBytes(); err != nil {
			return encoded
		}
		if fitting := base64.StdEncoding.EncodeToString(data); len(fitting) <= ArgumentLimit {
			return fitting
		}
	}
	return encoded
}
