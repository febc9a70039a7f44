package run_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tenter-dev/tenter/internal/run"
)

func TestCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 60).Draw(t, "limit")
		s := rapid.String().Draw(t, "text")
		got := run.CutTo(s, limit)
		if len(s) <= limit {
			if got != s {
				t.Fatalf("%q becomes %q", s, got)
			}
			return
		}
		kept, mark, ok := strings.Cut(got, "… (truncated, ")
		if !ok || mark != fmt.Sprintf("%d bytes in all)", len(s)) {
			t.Fatalf("%q becomes %q", s, got)
		}
		if len(kept) > limit || len(kept) < limit-utf8.UTFMax || !strings.HasPrefix(s, kept) || !utf8.ValidString(got) {
			t.Fatalf("of %q is kept %q, with a limit of %d", s, kept, limit)
		}
		if again := run.CutTo(got, limit); again != got {
			t.Fatalf("%q becomes %q when it is cut again", got, again)
		}
		if got, want := run.CutTo("prefix: "+got, limit), len("prefix: ")+len(s); limit > 8 && !strings.HasSuffix(got, fmt.Sprintf("truncated, %d bytes in all)", want)) {
			if n := len(kept); n == limit { // else what a rune has too much is not counted
				t.Fatalf("cut again with a prefix it is %q, want %d bytes", got, want)
			}
		}
	})
}

// oneself wraps itself.
type oneself struct{ text string }

func (e *oneself) Error() string { return e.text }
func (e *oneself) Unwrap() error { return e }

// many wraps a lot, itself too.
type many struct{ inner []error }

func (e *many) Error() string   { return "many" }
func (e *many) Unwrap() []error { return append(e.inner, e) }

// errorsOf is a lot of errors that are fine each.
type errorsOf []error

func (e errorsOf) Error() string   { return "a million" }
func (e errorsOf) Unwrap() []error { return e }

// hostile panics where it is told to.
type hostile struct{ in string }

func (e hostile) fail(in string) {
	if e.in == in {
		panic("in " + in)
	}
}
func (e hostile) Error() string { e.fail("Error"); return "hostile" }
func (e hostile) Unwrap() error { e.fail("Unwrap"); return context.Canceled }
func (e hostile) Is(error) bool { e.fail("Is"); return false }
func (e hostile) As(any) bool   { e.fail("As"); return false }

func TestSound(t *testing.T) {
	t.Parallel()
	if run.Sound(nil) != nil {
		t.Error("no error became one")
	}
	sound := fmt.Errorf("%w and %w", context.Canceled, hostile{})
	if got := run.Sound(sound); got != sound { //nolint:errorlint // it is that very one
		t.Errorf("%v became %v", sound, got)
	}
	long := fmt.Errorf("%s: %w", strings.Repeat("x", 1<<20), context.Canceled)
	if got := run.Sound(long); !errors.Is(got, context.Canceled) || len(got.Error()) > run.MaxText+64 {
		t.Errorf("a long error has %d bytes", len(got.Error()))
	}
	for name, tt := range map[string]struct {
		err  error
		text string
	}{
		"itself":           {&oneself{"cyclic"}, "cyclic"},
		"deep inside":      {fmt.Errorf("outer: %w", &oneself{"cyclic"}), "outer: cyclic"},
		"itself and more":  {&many{}, "many"},
		"a million":        {errorsOf(slices.Repeat([]error{context.Canceled}, 1<<20)), "a million"},
		"joined":           {errors.Join(context.Canceled, &oneself{"cyclic"}), "context canceled\ncyclic"},
		"Error panics":     {hostile{"Error"}, "run_test.hostile, whose Error method panics: in Error"},
		"Unwrap panics":    {hostile{"Unwrap"}, "hostile"},
		"Is panics":        {fmt.Errorf("outer: %w", hostile{"Is"}), "outer: hostile"},
		"As panics":        {hostile{"As"}, "hostile"},
		"a nil *something": {(*oneself)(nil), "*run_test.oneself, whose Error method panics: runtime error: invalid memory address or nil pointer dereference"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run.Sound(tt.err)
			if got.Error() != tt.text {
				t.Errorf("text is %q, want %q", got.Error(), tt.text)
			}
			if errors.Is(got, errors.ErrUnsupported) {
				t.Error("it is an error that nobody made")
			}
		})
	}
}

func TestRecovered(t *testing.T) {
	t.Parallel()
	call := func(f func()) (err error) {
		defer run.Recovered(&err)
		f()
		return nil
	}
	var none map[string]int
	for name, tt := range map[string]struct {
		f    func()
		want string
	}{
		"a value":         {func() { panic("no way") }, "panic: no way, at "},
		"a runtime error": {func() { none["x"] = 1 }, "panic: assignment to entry in nil map, at "},
		"a nil pointer":   {func() { _ = (*oneself)(nil).text }, "invalid memory address or nil pointer dereference, at "}, //nolint:govet // that is the point
		"a large value":   {func() { panic(strings.Repeat("x", 1<<20)) }, "… (truncated, 1048576 bytes in all), at "},
	} {
		if err := call(tt.f); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "text_test.go:") || len(err.Error()) > 2*run.MaxText {
			t.Errorf("%s: error is %v, want %q", name, err, tt.want)
		}
	}
	if err := call(func() {}); err != nil {
		t.Errorf("without a panic the error is %v", err)
	}
}
