package vnc

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Subprotocols of a connection: raw bytes in binary frames, or a base64 string
// in each text frame for browsers of 2014 without typed arrays.
const (
	binaryProtocol = "binary"
	base64Protocol = "base64"
)

// chooseSubprotocol picks the subprotocol for the header values a client sent.
// A client that offers none gets binary frames and no header in the answer, as
// noVNC since 1.0 and later websockify releases agree. ok is false when the
// client offers only protocols this proxy does not speak.
//
// compat: 4.6 splits at the comma without trimming, so "base64, binary" is
// answered with base64. Clients that 4.6 turned away for their blanks are read
// the way RFC 6455 says.
func chooseSubprotocol(values []string) (name string, ok bool) {
	offered := strings.Split(strings.Join(values, ","), ",")
	for _, p := range []string{binaryProtocol, base64Protocol} {
		if slices.Contains(offered, p) {
			return p, true
		}
	}
	none := true
	for i := range offered {
		offered[i] = strings.TrimSpace(offered[i])
		none = none && offered[i] == ""
	}
	for _, p := range []string{binaryProtocol, base64Protocol} {
		if slices.Contains(offered, p) {
			return p, true
		}
	}
	return "", none
}

// requestToken returns the token of a request: the query parameter "token", or
// else the last part of the path ("/<token>", "/websockify/<token>"). The path
// "/websockify" alone is noVNC's default and holds no token.
func requestToken(u *url.URL) string {
	if t := u.Query().Get("token"); t != "" {
		return t
	}
	path := strings.Trim(u.Path, "/")
	if path == "websockify" {
		return ""
	}
	return path[strings.LastIndexByte(path, '/')+1:]
}

// acceptVersion lets the drafts hybi-7 and hybi-8 in, which 4.6 spoke and which
// frame messages as version 13 does. It changes r.
func acceptVersion(r *http.Request) {
	switch r.Header.Get("Sec-Websocket-Version") {
	case "7", "8":
		r.Header.Set("Sec-Websocket-Version", "13")
		if o := r.Header.Get("Sec-Websocket-Origin"); o != "" && r.Header.Get("Origin") == "" {
			r.Header.Set("Origin", o)
		}
	}
}

// originChecker returns the check of a browser's Origin header. Sunstone's page
// comes from the same host as the proxy but another port, so host names are
// compared and ports are not. Requests without the header are not from a
// browser and pass. Entries of allowed are host names or whole origins
// ("https://cloud.example.com"); "*" allows all.
func originChecker(allowed []string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		origins := r.Header["Origin"]
		if len(origins) == 0 || slices.Contains(allowed, "*") {
			return true
		}
		u, err := url.Parse(origins[0])
		if err != nil || u.Host == "" || len(origins) > 1 {
			return false
		}
		self, err := url.Parse("//" + r.Host)
		if err == nil && self.Hostname() != "" && strings.EqualFold(u.Hostname(), self.Hostname()) {
			return true
		}
		return slices.ContainsFunc(allowed, func(a string) bool {
			return strings.EqualFold(a, origins[0]) || strings.EqualFold(a, u.Hostname())
		})
	}
}
