package run

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxText is how much is kept of the text of an error, in bytes.
const MaxText = 16 << 10

const cutMark, cutEnd = "… (truncated, ", " bytes in all)"

// Cut keeps the beginning of a text that is too long, and says how long it was.
func Cut(s string) string { return CutTo(s, MaxText) }

// CutTo is Cut with another limit.
func CutTo(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	all := len(s)
	if kept, had, ok := wasCut(s); ok {
		if len(kept) <= limit {
			return s
		}
		all = had + len(kept) - limit
		s = kept
	}
	end := limit
	for end > 0 && end > limit-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + cutMark + strconv.Itoa(all) + cutEnd // a copy, so that s can go
}

// wasCut takes apart what was cut before, on its own or with something put before it:
// what was kept, and how long the text was.
func wasCut(s string) (kept string, all int, ok bool) {
	before, ok := strings.CutSuffix(s, cutEnd)
	i := strings.LastIndex(before, cutMark)
	if !ok || i < 0 {
		return "", 0, false
	}
	all, err := strconv.Atoi(before[i+len(cutMark):])
	return before[:i], all, err == nil
}

// ErrorText is what is kept of the text of an error, whatever its Error method does.
func ErrorText(err error) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprintf("%T, whose Error method panics: %s", err, PanicValue(v))
		}
	}()
	return Cut(err.Error())
}

// PanicValue is what is kept of the value of a panic.
func PanicValue(v any) string { return Cut(fmt.Sprint(v)) }

// Recovered turns a panic of the author's code into an error with the panic's value and
// line. It is to be deferred.
func Recovered(err *error) {
	if v := recover(); v != nil {
		at, _ := authorStack()
		*err = errors.New(PanicText(PanicValue(v), at))
	}
}

// maxErrors is how many errors of a chain, or of a tree of them, are looked at. What has
// more has a cycle, or nobody wants to see it.
const maxErrors = 1000

// Walk calls f for err and all that it wraps, in the order of errors.Is, but no deeper
// where f says so. It ends where errors.Is does not: for an error that wraps itself.
func Walk(err error, f func(error) (deeper bool)) {
	left := maxErrors
	WalkOn(err, &left, f)
}

// WalkOn is Walk for as many errors as are left.
func WalkOn(err error, left *int, f func(error) (deeper bool)) {
	for err != nil && *left > 0 {
		*left--
		if !f(err) {
			return
		}
		one, many, _ := unwrap(err)
		for _, inner := range many {
			if *left <= 0 {
				return
			}
			WalkOn(inner, left, f)
		}
		err = one
	}
}

// unwrap is what an error wraps: nothing, if its method panics.
func unwrap(err error) (one error, many []error, ok bool) { //nolint:staticcheck // the errors that it returns are results, not failures
	defer func() {
		if recover() != nil {
			one, many, ok = nil, nil, false
		}
	}()
	switch e := err.(type) { //nolint:errorlint // this takes the chain apart
	case interface{ Unwrap() error }:
		return e.Unwrap(), nil, true
	case interface{ Unwrap() []error }:
		return nil, e.Unwrap(), true
	}
	return nil, nil, true
}

// Same reports whether err is target, without what it wraps.
func Same(err, target error) bool {
	same, _ := is(err, target)
	return same
}

// is does not panic if an Is method does.
func is(err, target error) (same, ok bool) {
	defer func() {
		if recover() != nil {
			same, ok = false, false
		}
	}()
	if err == target { //nolint:errorlint // this takes the chain apart
		return true, true
	}
	method, has := err.(interface{ Is(error) bool })
	return has && method.Is(target), true
}

// as reports whether an As method, if there is one, does not panic.
func as(err error) (ok bool) {
	defer func() { ok = recover() == nil }()
	if method, has := err.(interface{ As(any) bool }); has {
		method.As(new(*probe))
	}
	return true
}

// probe is an error that nobody has.
type probe struct{}

func (*probe) Error() string { return "probe" }

// Sound returns an error of the author's as one that callers may do with what they like:
// err itself, but with a text of bounded length, and if it wraps itself or its methods
// panic an error that has its text and no more.
func Sound(err error) error {
	if err == nil {
		return nil
	}
	left, sound := maxErrors, true
	WalkOn(err, &left, func(e error) bool {
		_, _, unwraps := unwrap(e)
		_, answers := is(e, (*probe)(nil))
		sound = sound && unwraps && answers && as(e)
		return sound
	})
	text, fits := plainText(err)
	switch {
	case !sound || left <= 0:
		return errors.New(text)
	case !fits:
		return &reworded{text, err}
	}
	return err
}

// plainText is the text of an error, and whether it is the error's own.
func plainText(err error) (text string, own bool) {
	defer func() {
		if recover() != nil {
			text, own = ErrorText(err), false
		}
	}()
	whole := err.Error()
	return Cut(whole), len(whole) <= MaxText
}

// reworded is an error with another text.
type reworded struct {
	text string
	err  error
}

func (e *reworded) Error() string { return e.text }
func (e *reworded) Unwrap() error { return e.err }
