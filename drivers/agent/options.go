package agent

import (
	"fmt"
	"strings"
)

// Option is one command line option of a driver.
type Option struct {
	Short byte   // letter after one dash
	Long  string // name after two
	// Value says whether a value follows: NoValue, NeedsValue or MayHaveValue
	// (the next word, unless it begins with a dash).
	Value ValueKind
	// Set takes the value; empty if there is none.
	Set func(value string) error
}

// ValueKind says whether an option has a value.
type ValueKind int

// Kinds of option values.
const (
	NoValue ValueKind = iota
	NeedsValue
	MayHaveValue
)

// ParseOptions reads GNU-style arguments, options and others in any order, and
// returns the others.
func ParseOptions(args []string, options []Option) (rest []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return append(rest, args...), nil
		case strings.HasPrefix(arg, "--"):
			name, value, given := strings.Cut(arg[2:], "=")
			o := findLong(options, name)
			if o == nil || given && o.Value == NoValue {
				return nil, fmt.Errorf("unknown option %q", arg)
			}
			if args, err = o.apply(value, given, args); err != nil {
				return nil, err
			}
		case len(arg) > 1 && arg[0] == '-':
			if args, err = parseShort(arg[1:], args, options); err != nil {
				return nil, err
			}
		default:
			rest = append(rest, arg)
		}
	}
	return rest, nil
}

// parseShort reads a word of one-letter options; a value may be glued on.
func parseShort(letters string, args []string, options []Option) ([]string, error) {
	for letters != "" {
		o := findShort(options, letters[0])
		if o == nil {
			return nil, fmt.Errorf("unknown option \"-%c\"", letters[0])
		}
		letters = letters[1:]
		var err error
		if o.Value == NoValue {
			_, err = o.apply("", false, nil)
		} else {
			args, err = o.apply(letters, letters != "", args)
			letters = ""
		}
		if err != nil {
			return nil, err
		}
	}
	return args, nil
}

func (o *Option) apply(value string, given bool, args []string) ([]string, error) {
	switch {
	case o.Value == NoValue || given:
	case o.Value == NeedsValue && len(args) == 0:
		return nil, fmt.Errorf("option --%s needs a value", o.Long)
	case o.Value == NeedsValue, len(args) > 0 && !strings.HasPrefix(args[0], "-"):
		value, args = args[0], args[1:]
	}
	if err := o.Set(value); err != nil {
		return nil, fmt.Errorf("option --%s: %w", o.Long, err)
	}
	return args, nil
}

func findLong(options []Option, name string) *Option {
	for i := range options {
		if options[i].Long == name {
			return &options[i]
		}
	}
	return nil
}

func findShort(options []Option, letter byte) *Option {
	for i := range options {
		if options[i].Short == letter {
			return &options[i]
		}
	}
	return nil
}
