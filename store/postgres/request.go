package postgres

import (
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/store"
)

// request is what a committer sends to the server for a batch, and what is to be told when it
// is committed.
type request struct {
	pgx.Batch // without BEGIN: what is sent together is one transaction
	told      store.Signal
	arrays    []*array
}

// spares are arrays that have been sent.
var spares = sync.Pool{New: func() any { return newArray(0, 16) }}

// array is an array of a type, for the time of the request.
func (r *request) array(t compositeType) *array {
	a := spares.Get().(*array)
	a.clear(t)
	r.arrays = append(r.arrays, a)
	return a
}

// free leaves the arrays to others.
func (r *request) free() {
	const large = 64 << 10
	for _, a := range r.arrays {
		if cap(a.buf) <= large {
			spares.Put(a)
		}
	}
}
