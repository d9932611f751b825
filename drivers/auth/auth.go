// Package auth holds the messages between oned and the AUTH_MAD driver.
package auth

import (
	"errors"
	"strconv"
	"strings"
)

// ErrBlank says that a word of an authentication request contains a blank, or
// is empty and not the last. 4.6 sends such a line, the driver drops it and the
// call hangs for 90 s; here the login is refused at once. An empty token stays
// what the driver decides about.
var ErrBlank = errors.New("user name, password or token contains a blank, or name or password is empty")

// Authentication asks whether a session is good.
type Authentication struct {
	// UserID is -1 for a user that oned does not know.
	UserID int
	// Driver is the user's AUTH_DRIVER, `default` for an unknown user.
	Driver string
	// User is the name in the session, Password the stored one (`-` for an
	// unknown user), Secret the token of the session.
	User, Password, Secret string
}

// Line is the request with the given number. Nothing is quoted on this wire.
func (a Authentication) Line(request int) (string, error) {
	words := []string{"AUTHENTICATE", strconv.Itoa(request), strconv.Itoa(a.UserID),
		a.Driver, a.User, a.Password, a.Secret}
	if err := checkWords(words, a.Secret == ""); err != nil {
		return "", err
	}
	return strings.Join(words, " "), nil
}

// Access is one operation on one object of an Authorization.
type Access struct {
	// Type is the object type's name: VM, HOST, NET, IMAGE, USER, …
	Type string
	// Object is the id, or for CREATE the base64 of the new template.
	Object string
	// Operation is USE, MANAGE, ADMIN or CREATE.
	Operation string
	OwnerID   int
	// Granted is what the built-in rules say.
	Granted bool
}

// Authorization asks whether a user may do what a call needs; the driver's
// answer replaces the built-in decision.
type Authorization struct {
	UserID   int
	Accesses []Access
}

// Line is the request with the given number.
func (a Authorization) Line(request int) (string, error) {
	words := []string{"AUTHORIZE", strconv.Itoa(request), strconv.Itoa(a.UserID)}
	all := true
	for _, x := range a.Accesses {
		words = append(words, x.Type+":"+x.Object+":"+x.Operation+":"+strconv.Itoa(x.OwnerID)+":"+digit(x.Granted))
		all = all && x.Granted
	}
	words = append(words, digit(all))
	if err := checkWords(words, false); err != nil {
		return "", err
	}
	return strings.Join(words, " "), nil
}

// NewUser is what a driver answers for a user that oned does not know yet.
// The name need not be the one in the session.
type NewUser struct{ Driver, Name, Password string }

// ParseNewUser reads `driver name password…`. ok is false with fewer than
// three words: 4.6 then does not create the user.
func ParseNewUser(info string) (u NewUser, ok bool) {
	rest := strings.TrimSpace(info)
	u.Driver, rest = cutWord(rest)
	u.Name, rest = cutWord(rest)
	u.Password = rest
	return u, u.Password != ""
}

func cutWord(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func checkWords(words []string, lastEmpty bool) error {
	for i, w := range words {
		if w == "" && !(lastEmpty && i == len(words)-1) || strings.ContainsAny(w, " \t\n\v\f\r\x00") {
			return ErrBlank
		}
	}
	return nil
}
