package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/tenter-dev/tenter/workflow"
)

// maxResume bounds the body of a Resume endpoint.
const maxResume = 1 << 20

// Resume serves a JSON endpoint for a defined hook: the body is the payload, decoded
// strictly (unknown fields are refused) and validated, and token finds the hook from
// a request that the app has authorized. The answer is 202 with the hook's and run's
// IDs, 404 for an unknown token, 422 for a payload that does not fit.
//
// The header Idempotency-Key, if there is one, makes it safe to repeat.
func Resume[T any](c workflow.Client, t *workflow.HookType[T], token func(*http.Request) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && r.Method != http.MethodPut {
			w.Header().Set("Allow", "POST, PUT")
			problem{Status: http.StatusMethodNotAllowed}.write(w)
			return
		}
		to, err := token(r)
		if err != nil {
			notFound(w)
			return
		}
		payload, ok := decodeStrictly[T](w, r)
		if !ok {
			return
		}
		var opts []workflow.ResumeOption
		if key := r.Header.Get("Idempotency-Key"); key != "" {
			opts = append(opts, workflow.IdempotencyKey(key))
		}
		info, err := t.Resume(r.Context(), c, to, payload, opts...)
		if err != nil {
			resumeProblem(err).write(w)
			return
		}
		body, err := json.Marshal(map[string]any{"hook_id": info.ID, "run_id": info.RunID, "duplicate": info.Duplicate})
		if err != nil {
			problem{Status: http.StatusInternalServerError}.write(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(append(body, '\n'))
	})
}

func decodeStrictly[T any](w http.ResponseWriter, r *http.Request) (T, bool) {
	var v T
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxResume))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			tooLarge(w, maxResume)
		} else {
			problem{Status: http.StatusBadRequest, Detail: "the body could not be read"}.write(w)
		}
		return v, false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err = d.Decode(&v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more after the value")
		}
	}
	if err != nil {
		p := problem{Status: http.StatusBadRequest, Title: "The payload does not fit", Detail: err.Error()}
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			p.Field = wrong.Field
			p.Detail = fmt.Sprintf("%s has to be a %s, not a %s", orPayload(wrong.Field), wrong.Type, wrong.Value)
		}
		p.write(w)
		return v, false
	}
	return v, true
}

func orPayload(field string) string {
	if field == "" {
		return "the payload"
	}
	return field
}

func resumeProblem(err error) problem {
	if bad, ok := errors.AsType[*workflow.PayloadError](err); ok {
		return problem{Status: http.StatusUnprocessableEntity, Title: "The payload is not valid", Detail: bad.Err.Error()}
	}
	_, foreign := errors.AsType[*workflow.HookTypeError](err)
	switch {
	case errors.Is(err, workflow.ErrHookNotFound), errors.Is(err, workflow.ErrInvalidToken), foreign:
		return problem{Status: http.StatusNotFound}
	case errors.Is(err, workflow.ErrPayloadTooLarge):
		return problem{Status: http.StatusRequestEntityTooLarge}
	case errors.Is(err, workflow.ErrEngineClosed):
		return problem{Status: http.StatusServiceUnavailable}
	default:
		return problem{Status: http.StatusInternalServerError}
	}
}

func byteCount(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return strconv.FormatInt(n>>20, 10) + " MiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
