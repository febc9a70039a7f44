package faultproxy

import "time"

// Kind is what a fault does.
type Kind string

// The kinds of faults.
const (
	// CutRequest cuts a connection instead of passing a request on.
	CutRequest Kind = "request cut off"
	// HalfRequest passes a part of a request on and cuts the connection.
	HalfRequest Kind = "half a request"
	// LostAnswer passes a request on, waits until the server has carried it out, and
	// cuts the connection instead of passing the answer on.
	LostAnswer Kind = "answer lost"
	// HalfAnswer passes a part of an answer on and cuts the connection.
	HalfAnswer Kind = "half an answer"
	// LateRequest cuts the connection for the client, and passes its request on to the
	// server a while later.
	LateRequest Kind = "request late"
	// Delay passes a part of a message on, and the rest a moment later.
	Delay Kind = "delay"
	// Freeze leaves a connection open and passes nothing on for a while.
	Freeze Kind = "freeze"
	// Refuse refuses new connections for a while. It needs no occasion.
	Refuse Kind = "connections refused"
	// CutAll cuts all connections. It needs no occasion.
	CutAll Kind = "all connections cut"
)

// Kinds are all kinds of faults.
var Kinds = []Kind{CutRequest, HalfRequest, LostAnswer, HalfAnswer, LateRequest, Delay, Freeze, Refuse, CutAll}

// Fault is one that has been done.
type Fault struct {
	Kind  Kind
	Began time.Time
	Ended time.Time // of those that last a while: when it will be over
}

// direction is where a chunk of bytes goes.
type direction int

const (
	up   direction = iota // to the server
	down                  // to the client
)

// fits reports whether a chunk is an occasion for a fault. A chunk is complete if it
// ends a request that the server answers.
func (k Kind) fits(d direction, n int, complete bool) bool {
	switch k {
	case CutRequest:
		return d == up
	case HalfRequest:
		return d == up && n > 1
	case LostAnswer, LateRequest:
		return d == up && complete
	case HalfAnswer:
		return d == down && n > 1
	case Delay:
		return n > 1
	case Freeze:
		return true
	default:
		return false
	}
}
