package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// intake reads the body of a request, within limits of size and time. The app may
// read of it to find the token: all of it is delivered all the same.
type intake struct {
	w     http.ResponseWriter
	r     *http.Request
	body  io.Reader
	taken bytes.Buffer // what was read
	limit int64
	whole bool  // all was read
	err   error // why no more could be read
}

// newIntake returns nil if the body is announced to be too large. Then it has
// answered.
func newIntake(w http.ResponseWriter, r *http.Request, limit int64, within time.Duration) *intake {
	in := &intake{w: w, r: r, limit: limit}
	if r.ContentLength > limit {
		in.err = &http.MaxBytesError{Limit: limit}
		in.problem().write(w)
		return nil
	}
	in.body = http.MaxBytesReader(w, r.Body, limit)
	if r.ContentLength != 0 {
		in.deadline(time.Now().Add(within))
	}
	return in
}

// deadline bounds the reading. Not all ResponseWriters can; then the server's own
// timeouts have to do.
func (in *intake) deadline(t time.Time) {
	_ = http.NewResponseController(in.w).SetReadDeadline(t)
}

// request returns the request for the app to look at.
func (in *intake) request() *http.Request {
	r := *in.r
	r.Body = io.NopCloser(in)
	if in.whole {
		r.Body = io.NopCloser(bytes.NewReader(in.taken.Bytes()))
	}
	return &r
}

// Read implements [io.Reader].
func (in *intake) Read(p []byte) (int, error) {
	n, err := in.body.Read(p)
	in.taken.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		in.err = err
	}
	return n, err
}

// all returns the whole body, or false: see problem.
func (in *intake) all() ([]byte, bool) {
	if in.err == nil {
		_, in.err = in.taken.ReadFrom(in.body)
	}
	if in.err == nil && in.r.ContentLength != 0 {
		in.deadline(time.Time{})
	}
	in.whole = in.err == nil
	return in.taken.Bytes(), in.err == nil
}

// problem says why the body could not be read. The connection is of no more use.
func (in *intake) problem() problem {
	in.w.Header().Set("Connection", "close")
	_, large := errors.AsType[*http.MaxBytesError](in.err)
	switch {
	case large:
		return problem{Status: http.StatusRequestEntityTooLarge, Code: "payload_too_large", Detail: "the limit is " + byteCount(in.limit)}
	case errors.Is(in.err, os.ErrDeadlineExceeded):
		return problem{Status: http.StatusRequestTimeout, Code: codeTimeout, Detail: "the body took too long"}
	default:
		return problem{Status: http.StatusBadRequest, Code: codeBadRequest, Detail: "the body could not be read"}
	}
}
