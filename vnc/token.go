package vnc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTokenLine bounds one line of a token file. A host name has at most 253
// characters and Sunstone's tokens have 20, so this only stops nonsense.
const maxTokenLine = 4096

// Target is the address of a VNC server.
type Target struct {
	Host string
	Port int
}

// String returns the target as host:port, with brackets around an IPv6 address.
func (t Target) String() string {
	return net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
}

// ParseTarget reads "host:port" or "[address]:port". The last colon separates
// the port, so a bare IPv6 address before it is accepted too, as websockify does.
func ParseTarget(s string) (Target, error) {
	s = strings.TrimSpace(s)
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return Target{}, fmt.Errorf("target %q: want host:port", s)
	}
	host := s[:i]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	if host == "" {
		return Target{}, fmt.Errorf("target %q: host is missing", s)
	}
	if !utf8.ValidString(host) || strings.ContainsFunc(host, notInHost) {
		return Target{}, fmt.Errorf("target %q: host has a character no host name has", s)
	}
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil || port == 0 {
		return Target{}, fmt.Errorf("target %q: port is not a number from 1 to 65535", s)
	}
	return Target{Host: host, Port: int(port)}, nil
}

func notInHost(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("/[]@?#\"'\\", r)
}

// TokenLine is one valid line of a token file.
type TokenLine struct {
	Token  string
	Target Target
}

// ParseTokens reads the text of a token file: lines "token: host:port", blank
// lines and lines that start with # ignored. The last line needs no line break
// (Sunstone writes none). It returns all valid lines, in order, and an error
// that joins one error per line that is not valid; where websockify refused
// every connection because of one bad line, the good ones keep working.
func ParseTokens(text []byte) ([]TokenLine, error) {
	var (
		lines []TokenLine
		errs  []error
		n     int
	)
	sc := bufio.NewScanner(bytes.NewReader(text))
	sc.Buffer(make([]byte, 0, 512), maxTokenLine)
	for sc.Scan() {
		n++
		s := strings.TrimSpace(sc.Text())
		if s == "" || s[0] == '#' {
			continue
		}
		line, err := parseTokenLine(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		lines = append(lines, line)
	}
	if err := sc.Err(); err != nil {
		errs = append(errs, fmt.Errorf("line %d: longer than %d bytes, rest of the file ignored", n+1, maxTokenLine))
	}
	return lines, errors.Join(errs...)
}

// parseTokenLine splits at the first ": " as 4.6 does, or else at the first
// colon, the way later websockify releases let the blank be left out. Errors
// never show the token.
func parseTokenLine(s string) (TokenLine, error) {
	token, target, ok := strings.Cut(s, ": ")
	if !ok {
		token, target, ok = strings.Cut(s, ":")
	}
	token = strings.TrimSpace(token)
	if !ok || token == "" {
		return TokenLine{}, errors.New("want \"token: host:port\"")
	}
	t, err := ParseTarget(target)
	if err != nil {
		return TokenLine{}, err
	}
	return TokenLine{Token: token, Target: t}, nil
}
