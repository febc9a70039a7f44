package sqlite

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// readRun reads runColumns.
func readRun(st *stmt) (store.Run, error) {
	r := store.Run{
		ID:            st.text(),
		Workflow:      st.text(),
		Version:       int(st.int()),
		Status:        store.Status(st.text()),
		ParentID:      st.text(),
		ParentRef:     st.text(),
		Trace:         st.text(),
		Secret:        st.data(),
		CreatedAt:     st.time(),
		UpdatedAt:     st.time(),
		EndedAt:       st.time(),
		WakeAt:        st.time(),
		Worker:        st.text(),
		Epoch:         st.int(),
		Events:        st.int(),
		Suspicion:     int32(st.int()), //nolint:gosec // it counts from 0
		Mark:          st.bool(),
		Crashes:       int32(st.int()), //nolint:gosec // as well
		BlockedBuild:  st.text(),
		BlockedReason: st.text(),
		Generation:    int32(st.int()), //nolint:gosec // as well
		Base:          st.int(),
	}
	origin := st.data()
	r.Paused = readPause(st, r.Status)
	if origin == nil {
		return r, nil
	}
	r.Origin = new(store.Origin)
	if err := json.Unmarshal(origin, r.Origin); err != nil {
		return r, fmt.Errorf("read where run %s was forked from: %w", r.ID, err)
	}
	return r, nil
}

// readHook reads hookColumns.
func readHook(st *stmt) store.Hook {
	return store.Hook{
		ID:        st.text(),
		RunID:     st.text(),
		Token:     st.text(),
		Type:      st.text(),
		Metadata:  st.data(),
		Webhook:   st.data(),
		Reserved:  st.bool(),
		CreatedAt: st.time(),
		ClosedAt:  st.time(),
		OpenedPos: st.int(),
		ClosedPos: st.int(),
		Carried:   st.bool(),
		Subject:   st.text(), ListensFrom: st.int(), ListensTo: st.int(),
	}
}

// readMessage reads mailColumns.
func readMessage(st *stmt) (store.Message, error) {
	m := store.Message{
		ID:         st.int(),
		RunID:      st.text(),
		Kind:       st.kind(),
		Ref:        st.text(),
		Data:       st.data(),
		AcceptedAt: st.time(),
	}
	var err error
	m.OrStart, err = readNewRun(st)
	m.Trace = st.text()
	m.Actor = st.text()
	return m, err
}

// readEvent reads the columns of an event.
func readEvent(st *stmt) (store.Event, error) {
	e := store.Event{
		Position: st.int(),
		At:       st.time(),
		Kind:     st.kind(),
		Ref:      st.text(),
		Data:     st.data(),
		Asked:    st.text(),
	}
	var err error
	e.OrStart, err = readNewRun(st)
	e.Epoch = st.int()
	e.Seq = st.int()
	e.Actor = st.text()
	return e, err
}

// encodeNewRun is the text of a run to start, nil for none.
func encodeNewRun(r *store.NewRun) ([]byte, error) {
	if r == nil {
		return nil, nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode run to start: %w", err)
	}
	return b, nil
}

// readNewRun reads what encodeNewRun made.
func readNewRun(st *stmt) (*store.NewRun, error) {
	b := st.data()
	if b == nil {
		return nil, nil
	}
	r := new(store.NewRun)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read run to start: %w", err)
	}
	return r, nil
}

// readAll reads every row of a query.
func readAll[T any](st *stmt, read func(*stmt) (T, error)) ([]T, error) {
	var all []T
	for st.next() {
		v, err := read(st)
		if err != nil {
			_ = st.end()
			return nil, err
		}
		all = append(all, v)
	}
	return all, st.end()
}

// readPage reads rows until they have a page of data, or a row is the last.
func readPage[T any](st *stmt, read func(*stmt) (T, error), size func(*T) int) ([]T, error) {
	var page []T
	for n := 0; n < store.PageSize && st.next(); {
		v, err := read(st)
		if err != nil {
			_ = st.end()
			return nil, err
		}
		page = append(page, v)
		n += size(&v)
	}
	return page, st.end()
}

// readPart reads up to limit messages, or a page of them, and whether there are others. The
// query has a row for that.
func readPart(st *stmt, limit int) (part []store.Message, more bool, err error) {
	size := 0
	for st.next() {
		if len(part) == limit || size >= store.PageSize {
			more = true
			break
		}
		m, err := readMessage(st)
		if err != nil {
			_ = st.end()
			return nil, false, err
		}
		part, size = append(part, m), size+len(m.Data)
	}
	return part, more, st.end()
}

// whole makes a reader that cannot fail fit readAll and readOne.
func whole[T any](read func(*stmt) T) func(*stmt) (T, error) {
	return func(st *stmt) (T, error) { return read(st), nil }
}

// readOne reads the first row of a query. ErrNotFound if there is none.
func readOne[T any](st *stmt, read func(*stmt) (T, error)) (v T, err error) {
	row, err := st.first()
	if row {
		v, err = read(st)
	}
	if e := st.end(); err == nil {
		err = e
	}
	if err == nil && !row {
		err = store.ErrNotFound
	}
	return v, err
}

// head is the part of a run that an operation checks before it writes.
type head struct {
	id            string
	status        store.Status
	worker        string
	epoch         int64
	events        int64
	messages      int64
	version       int
	wakeAt        string // as text: only compared
	dueAt         string
	blockedBuild  string
	suspicion     int
	mark          bool
	crashes       int
	blockedReason string
	parentID      string
	parentRef     string
	backlogs      int64
	generation    int
	base          int64
	awaited       bool
	paused        bool // itself
}

// head reads the head of a run. ErrNotFound if there is none.
func (c *conn) head(id string) (head, error) {
	h, err := readOne(c.on(qRunHead).bindText(id), whole(func(st *stmt) head {
		return head{
			status:        store.Status(st.text()),
			worker:        st.text(),
			epoch:         st.int(),
			events:        st.int(),
			messages:      st.int(),
			version:       int(st.int()),
			wakeAt:        st.text(),
			dueAt:         st.text(),
			blockedBuild:  st.text(),
			suspicion:     int(st.int()),
			mark:          st.bool(),
			crashes:       int(st.int()),
			blockedReason: st.text(),
			parentID:      st.text(),
			parentRef:     st.text(),
			backlogs:      st.int(),
			generation:    int(st.int()),
			base:          st.int(),
			awaited:       st.bool(),
			paused:        st.bool(),
		}
	}))
	h.id = id
	return h, err
}

// optTime is the text of a time, empty for the zero time.
func optTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return formatTime(t)
}

// earlier is the earlier of two texts of times, where empty means never.
func earlier(a, b string) string {
	if a == "" || (b != "" && b < a) {
		return b
	}
	return a
}
