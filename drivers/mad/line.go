package mad

import (
	"bufio"
	"errors"
	"io"
)

// errLineTooLong says that a line went over the bound and was skipped up to
// its line feed; reading may go on.
var errLineTooLong = errors.New("line too long")

// readLine returns the next line without its line feed. However slowly a line
// arrives it is waited for. What stands after the last line feed when the
// stream ends is not a line: half an answer must not be acted upon.
func readLine(r *bufio.Reader, limit int) (string, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if !tooLong && len(line)+len(part) > limit+1 {
			tooLong, line = true, nil
		}
		if !tooLong {
			line = append(line, part...)
		}
		switch {
		case err == nil && tooLong:
			return "", errLineTooLong
		case err == nil:
			return string(line[:len(line)-1]), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return "", io.ErrUnexpectedEOF
		default:
			return "", err
		}
	}
}
