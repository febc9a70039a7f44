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
	Hook     Op = "hook"     // hook 1; or with a token of the author's own: hook 2 token order:7; or hook 3 named inbox; or hook 4 on paid order-7
	Close    Op = "close"    // close 2: no more payloads for the hook
	Drain    Op = "drain"    // drain 2: what the closed hook had accepted
	Pull     Op = "pull"     // pull 2: a payload that waits in the hook's backlog
	Sleep    Op = "sleep"    // sleep 1 until 2006-01-02T15:04:05.000000Z
	Deadline Op = "deadline" // deadline 2 until 2006-01-02T15:04:05.000000Z
	Stop     Op = "stop"     // stop 2: the timer is of no use any more
	Respond  Op = "respond"  // respond 1 to 01h455vb4pex5vsknk084sn02q
	Patched  Op = "patched"  // patched fee: the code takes the way of a patch from here on
	Restart  Op = "restart"  // restart 1: the generation to come
	Await    Op = "await"    // await 1 run order-7: the end of another run
	Leave    Op = "leave"    // leave 1: that run is not awaited any more
	Link     Op = "link"     // link 1 to 2 signed 2026-11: somebody may answer the hook
	Revoke   Op = "revoke"   // revoke 1: the link is of no use any more
)

// Ask is one thing that the code of a run asks for. A replay compares it with what the
// journal has.
type Ask struct {
	Op  Op
	Ref string // of the step or child; the number of the hook, timer, response, await, link or generation; the ID of the patch

	Token   string // of a hook; empty: it is generated
	Name    string // of a hook whose token derives from it; see ListenerName
	RunID   string // of a child, or of a run that is awaited
	Request string // that is responded to
	Hook    string // that a link is to
	// What is recorded and not compared: a replay goes by what the journal has.
	Until time.Time // of a timer
	Key   string    // that signs a link
}

const timeFormat = "2006-01-02T15:04:05.000000Z"

// object is what an ask has besides Op and Ref, and the word before it.
func (a *Ask) object() (word, object string) {
	switch {
	case a.Op == Hook && strings.HasPrefix(a.Name, listener):
		return " on ", a.Name[len(listener):]
	case a.Op == Hook && a.Name != "":
		return " named ", a.Name
	case a.Op == Hook && a.Token != "":
		return " token ", a.Token
	case a.Op == Child || a.Op == Await:
		return " run ", a.RunID
	case a.Op == Respond:
		return " to ", a.Request
	case a.Op == Link:
		return " to ", a.Hook
	case a.timer():
		return " until ", ""
	}
	return "", ""
}

// signed is the word before the key of a link.
const signed = " signed "

func (a *Ask) timer() bool { return a.Op == Sleep || a.Op == Deadline }

// Append appends the line of a, without a newline.
func (a *Ask) Append(line []byte) []byte {
	word, object := a.object()
	line = slices.Grow(line, len(a.Op)+1+len(a.Ref)+len(word)+len(object)+max(len(timeFormat), len(signed)+len(a.Key))) // at most once
	line = append(line, a.Op...)
	line = append(line, ' ')
	line = append(line, a.Ref...)
	line = append(line, word...)
	line = append(line, object...)
	switch {
	case a.timer():
		line = a.Until.UTC().AppendFormat(line, timeFormat)
	case a.Op == Link:
		line = append(append(line, signed...), a.Key...)
	}
	return line
}

// String returns the line of a.
func (a Ask) String() string { return string(a.Append(nil)) }

// Match reports whether a recorded line asks for the same as a, and takes over what is recorded and not
// compared. It does not allocate, since a replay calls it for all that a run has ever asked for.
func (a *Ask) Match(line string) bool {
	word, object := a.object()
	for _, part := range [...]string{string(a.Op), " ", a.Ref, word, object} {
		rest, ok := strings.CutPrefix(line, part)
		if !ok {
			return false
		}
		line = rest
	}
	switch {
	case a.timer():
		if until, err := time.Parse(timeFormat, line); err == nil {
			a.Until = until
		}
		return true
	case a.Op == Link:
		key, ok := strings.CutPrefix(line, signed)
		if ok {
			a.Key = key
		}
		return ok
	}
	return line == ""
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
	case Hook, Close, Drain, Pull, Sleep, Deadline, Stop, Respond, Restart, Await, Leave, Link, Revoke:
		a.Ref, rest, _ = strings.Cut(rest, " ")
	default:
		return a, false
	}
	switch {
	case a.Op == Hook && strings.HasPrefix(rest, "named "):
		a.Name = strings.TrimPrefix(rest, "named ")
	case a.Op == Hook && strings.HasPrefix(rest, "on "):
		a.Name = listener + strings.TrimPrefix(rest, "on ")
	case a.Op == Hook:
		a.Token = strings.TrimPrefix(rest, "token ")
	case a.Op == Await:
		a.RunID = strings.TrimPrefix(rest, "run ")
	case a.Op == Respond:
		a.Request = strings.TrimPrefix(rest, "to ")
	case a.Op == Link:
		a.Hook, a.Key, _ = strings.Cut(strings.TrimPrefix(rest, "to "), signed)
	case a.timer():
		a.Until, _ = time.Parse(timeFormat, strings.TrimPrefix(rest, "until "))
	}
	return a, a.Ref != "" && a.String() == line
}

// listener begins the names of hooks that listen: no author can give such a name.
const listener = "\x1f"

// ListenerName is the name of a hook that listens to a topic and a subject, unless its author has given
// it a token or a name: so that it has the same token in each generation of its run.
func ListenerName(topic, subject string) string {
	return listener + strings.NewReplacer("%", "%25", " ", "%20").Replace(topic) + " " + subject
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
var childRun = regexp.MustCompile(`#(\d+\.)?\d+ run `)

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
