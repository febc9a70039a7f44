package waiting

import "time"

// recent holds what was delivered a moment ago while nobody waited: a caller that resumes a
// run and then asks for its result need not query the store. Registry.mu guards it.
type recent struct {
	values map[Key]recentValue
	order  [mostRecent]Key // of the values, a ring
	next   int
}

type recentValue struct {
	v  any
	at time.Time
}

const (
	mostRecent = 256

	// recently is how long values are returned. No run is deleted that soon, see
	// Options.KeepEnded, so no other run can have its ID.
	recently = time.Second
)

func (r *recent) add(k Key, v any) {
	if r.values == nil {
		r.values = make(map[Key]recentValue)
	}
	delete(r.values, r.order[r.next])
	r.values[k], r.order[r.next] = recentValue{v, time.Now()}, k
	r.next = (r.next + 1) % mostRecent
}

// get returns a value, or nil.
func (r *recent) get(k Key) any {
	if got := r.values[k]; time.Since(got.at) < recently {
		return got.v
	}
	return nil
}
