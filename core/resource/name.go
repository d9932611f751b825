package resource

import (
	"errors"
	"strings"
)

// maxName is the longest name, in bytes.
const maxName = 128

// CheckName applies 4.6's rules for names: not empty, none of the characters that XML, shells and the API need, at most 128
// bytes, tested in this order. The error's text is 4.6's, without a final period. extra are characters that this kind of object
// forbids besides (user names: white space).
func CheckName(name, extra string) error {
	if name == "" {
		return errors.New("Invalid NAME, it cannot be empty")
	}
	if i := strings.IndexAny(name, `&|:\";/'#{}$<>`+extra); i >= 0 {
		return errors.New("Invalid NAME, char '" + name[i:i+1] + "' is not allowed")
	}
	if len(name) > maxName {
		return errors.New("Invalid NAME, max length is 128 chars")
	}
	return nil
}
