package journal

import (
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Op says what code asks for.
type Op string

// The operations that code asks for, each with an example of its line.
const (
	Step     Op = "step"     // step charge#1
	Child    Op = "child"    // child ship#1 run r.ship.1
	Hook     Op = "hook"     // hook 1; or with a token of the author's own: hook 2 token order:7
	Close    Op = "close"    // close 2: no more payloads for the hook
	Drain    Op = "drain"    // drain 2: what the closed hook had accepted
	Pull     Op = "pull"     // pull 2: a payload that waits in the hook's backlog
	Sleep    Op = "sleep"    // sleep 1 until 2006-01-02T15:04:05.000000Z
	Deadline Op = "deadline" // deadline 2 until 2006-01-02T15:04:05.000000Z
	Stop     Op = "stop"     // stop 2: the timer is of no use any more
	Respond  Op = "respond"  // respond 1 to 01h455vb4pex5vsknk084sn02q
	Patched  Op = "patched"  // patched fee: the code takes the way of a patch from here on
)

// Ask is one thing that the code of a run asks for. A replay compares it with what the
// journal has.
type Ask struct {
	Op  Op
	Ref string // of the step or child; the number of the hook, timer or response; the ID of the patch

	Token   string    // of a hook; empty: it is generated
	RunID   string    // of a child
	Request string    // that is responded to
	Until   time.Time // of a timer. It is recorded and not compared
}

const timeFormat = "2006-01-02T15:04:05.000000Z"

// object is what an ask has besides Op and Ref, and the word before it.
func (a *Ask) object() (word, object string) {
	switch {
	case a.Op == Hook && a.Token != "":
		return " token ", a.Token
	case a.Op == Child:
		return " run ", a.RunID
	case a.Op == Respond:
		return " to ", a.Request
	case a.timer():
		return " until ", ""
	}
	return "", ""
}

func (a *Ask) timer() bool { return a.Op == Sleep || a.Op == Deadline }

// Append appends the line of a, without a newline.
func (a Ask) Append(line []byte) []byte {
	word, object := a.object()
	line = slices.Grow(line, len(a.Op)+1+len(a.Ref)+len(word)+len(object)+len(timeFormat)) // at most once
	line = append(line, a.Op...)
	line = append(line, ' ')
	line = append(line, a.Ref...)
	line = append(line, word...)
	line = append(line, object...)
	if a.timer() {
		line = a.Until.UTC().AppendFormat(line, timeFormat)
	}
	return line
}

// String returns the line of a.
func (a Ask) String() string { return string(a.Append(nil)) }

// Match reports whether a recorded line asks for the same as a. Then until is the time
// that counts: the recorded one. It does not allocate, since a replay calls it for all
// that a run has ever asked for.
func (a Ask) Match(line string) (until time.Time, ok bool) {
	word, object := a.object()
	for _, part := range [...]string{string(a.Op), " ", a.Ref, word, object} {
		if line, ok = strings.CutPrefix(line, part); !ok {
			return time.Time{}, false
		}
	}
	if !a.timer() {
		return time.Time{}, line == ""
	}
	until, err := time.Parse(timeFormat, line)
	if err != nil {
		until = a.Until
	}
	return until, true
}

// Parse is the inverse of [Ask.String]. It returns false for a line that is not an ask
// that this version knows. Names and tokens may have spaces.
func Parse(line string) (a Ask, ok bool) {
	op, rest, _ := strings.Cut(line, " ")
	a.Op, a.Ref = Op(op), rest
	switch a.Op {
	case Step, Patched:
		return a, rest != ""
	case Child:
		at := childRun.FindStringIndex(rest)
		if at == nil {
			return a, false
		}
		word, _ := a.object()
		a.Ref, a.RunID = rest[:at[1]-len(word)], rest[at[1]:]
		return a, true
	case Hook, Close, Drain, Pull, Sleep, Deadline, Stop, Respond:
		a.Ref, rest, _ = strings.Cut(rest, " ")
	default:
		return a, false
	}
	switch {
	case a.Op == Hook:
		a.Token = strings.TrimPrefix(rest, "token ")
	case a.Op == Respond:
		a.Request = strings.TrimPrefix(rest, "to ")
	case a.timer():
		a.Until, _ = time.Parse(timeFormat, strings.TrimPrefix(rest, "until "))
	}
	return a, a.Ref != "" && a.String() == line
}

// BeginsWithPatch reports whether the first line of asks is a patch.
func BeginsWithPatch(asked string) bool {
	rest, ok := strings.CutPrefix(asked, string(Patched))
	return ok && strings.HasPrefix(rest, " ")
}

// WithoutPatches passes over patches at the beginning of asks: code may have lost the calls.
func WithoutPatches(asked string) string {
	for BeginsWithPatch(asked) {
		_, asked, _ = strings.Cut(asked, "\n")
	}
	return asked
}

// childRun is what parts the reference of a child from its run ID.
var childRun = regexp.MustCompile(`#\d+ run `)

// Asks are the asks of an event, in order. Lines that are none are left out.
func Asks(asked string) iter.Seq[Ask] {
	return func(yield func(Ask) bool) {
		for line := range strings.SplitSeq(asked, "\n") {
			if a, ok := Parse(line); ok && !yield(a) {
				return
			}
		}
	}
}
