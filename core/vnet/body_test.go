package vnet

import "regexp"

// removeElement takes an element and all in it out of a document.
func removeElement(doc, name string) string {
	e := regexp.MustCompile(`(?s)<` + name + `>.*?</` + name + `>|<` + name + `/>`)
	loc := e.FindStringIndex(doc)
	return doc[:loc[0]] + doc[loc[1]:]
}
