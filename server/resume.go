package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/strictjson"
	"github.com/tenter-dev/tenter/workflow"
)

// maxResume bounds the body of a Resume endpoint.
const maxResume = 1 << 20

// Resume serves a JSON endpoint for a defined hook: the body is the payload, decoded
// strictly (fields that the type does not have, names that occur twice and text that is not
// valid Unicode are refused) and validated, and token finds the hook from a request that the
// app has authorized. The answer is 202 with the hook's and run's
// IDs, 404 for an unknown token, 400 for a payload that does not decode, 422 for one
// that does not validate, as problem+json. Its "field" says which field is wrong; for
// a validation error if that has a method Field() string.
//
// The header Idempotency-Key, if there is one, makes it safe to repeat; an empty one is
// refused. A body may have 1 MiB.
func Resume[T any](c workflow.Client, t *workflow.HookType[T], token func(*http.Request) (string, error), opts Options) http.Handler {
	o := withDefaults(opts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, payload, key, ok := receive[T](w, r, token, o)
		if !ok {
			return
		}
		var opts []workflow.ResumeOption
		if key != nil {
			opts = append(opts, workflow.IdempotencyKey(*key))
		}
		info, err := t.Resume(traced(r).Context(), c, to, payload, opts...)
		if err != nil {
			o.fail(w, r, "resume", err)
			return
		}
		answerJSON(w, http.StatusAccepted, map[string]any{"hook_id": info.ID, "run_id": info.RunID, "duplicate": info.Duplicate})
	})
}

// maxCall is how long a request of a Call endpoint is held at most.
const maxCall = 30 * time.Second

// Call serves a JSON endpoint for a call, as [Resume] does for a hook: the body is the input, and the
// answer is 200 with what the run returns. It is 422 if the run refuses the request; the detail is the
// text of its error. If the run has not answered after 30 s, or is paused, it is 504, if the server
// stops 503, and if the run has ended 500: it has the request all the same, and a repetition with the
// same Idempotency-Key gets the answer.
func Call[In, Out any](c workflow.Client, t *workflow.CallType[In, Out], token func(*http.Request) (string, error), opts Options) http.Handler {
	o := withDefaults(opts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, input, key, ok := receive[In](w, r, token, o)
		if !ok {
			return
		}
		var opts []workflow.CallOption
		if key != nil {
			opts = append(opts, workflow.IdempotencyKey(*key))
		}
		ctx, cancel := context.WithTimeout(traced(r).Context(), maxCall)
		defer cancel()
		out, err := t.Call(ctx, c, to, input, opts...)
		if err != nil {
			o.fail(w, r, "call", err)
			return
		}
		answerJSON(w, http.StatusOK, out)
	})
}

// receive reads a payload, for the hook that has a token, with its idempotency key. It has answered
// what can't be one.
func receive[T any](w http.ResponseWriter, r *http.Request, token func(*http.Request) (string, error), o Options) (to string, payload T, key *string, ok bool) {
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		w.Header().Set("Allow", "POST, PUT")
		problem{Status: http.StatusMethodNotAllowed}.write(w)
		return to, payload, nil, false
	}
	in := newIntake(w, r, maxResume, o.ReadTimeout)
	if in == nil {
		return to, payload, nil, false
	}
	to, err := token(in.request())
	if err != nil && in.err == nil {
		notFound(w)
		return to, payload, nil, false
	}
	body, ok := in.all()
	if !ok {
		in.problem().write(w)
		return to, payload, nil, false
	}
	payload, wrong := decodeStrictly[T](body)
	if wrong != nil {
		wrong.write(w)
		return to, payload, nil, false
	}
	switch keys := r.Header["Idempotency-Key"]; len(keys) {
	case 0:
		return to, payload, nil, true
	case 1:
		return to, payload, &keys[0], true
	}
	problem{Status: http.StatusBadRequest, Detail: "there are several headers Idempotency-Key"}.write(w)
	return to, payload, nil, false
}

// fail answers an error.
func (o *Options) fail(w http.ResponseWriter, r *http.Request, what string, err error) {
	p := resumeProblem(err)
	switch {
	case p.Status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	case p.Status == http.StatusInternalServerError && p.Detail == "" && r.Context().Err() == nil:
		o.Logger.ErrorContext(r.Context(), "request failed", "what", what, "route", r.Pattern, "error", err) // only the app knows where in the path a token is
	}
	p.write(w)
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	answer, err := json.Marshal(v)
	if err != nil {
		problem{Status: http.StatusInternalServerError}.write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(answer, '\n'))
}

// decodeStrictly decodes a payload that is all of the body, and has no fields that T
// has not.
func decodeStrictly[T any](body []byte) (v T, wrong *problem) {
	if len(bytes.TrimSpace(body)) == 0 {
		return v, misfit("", "the body is empty")
	}
	err := strictjson.Unmarshal(body, &v)
	if err == nil {
		return v, nil
	}
	if bad, ok := errors.AsType[*strictjson.Error](err); ok {
		return v, misfit(bad.Path, bad.Error())
	}
	if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return v, misfit(bad.Field, fmt.Sprintf("%s has to be %s, not %s", orPayload(bad.Field), withArticle(jsonName(bad.Type)), withArticle(bad.Value)))
	}
	return v, misfit("", err.Error())
}

func misfit(field, detail string) *problem {
	return &problem{Status: http.StatusBadRequest, Title: "The payload does not fit", Field: field, Detail: detail}
}

// jsonName is what a caller calls a type, who knows JSON and not Go.
func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonName(t.Elem())
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice, reflect.Array:
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			return "string" // in base64
		}
		return "array"
	case reflect.Bool:
		return "boolean"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.String:
		return "string"
	}
	return "whole number"
}

func withArticle(noun string) string {
	if strings.ContainsRune("ao", rune(noun[0])) { // an array, an object
		return "an " + noun
	}
	return "a " + noun
}

func orPayload(field string) string {
	if field == "" {
		return "the payload"
	}
	return field
}

// resumeProblem reveals no more than a caller may know that may resume only this hook.
func resumeProblem(err error) problem {
	if refused, ok := errors.AsType[*workflow.RefusedError](err); ok {
		return problem{Status: http.StatusUnprocessableEntity, Title: "The request was refused", Detail: refused.Err.Error()}
	}
	if _, ok := errors.AsType[*workflow.UnansweredError](err); ok {
		return unansweredProblem(err)
	}
	f := findFault(err)
	switch {
	case f == nil:
		return problem{Status: http.StatusInternalServerError}
	case f.code == "hook_type" || f.code == "invalid_token":
		return problem{Status: http.StatusNotFound}
	case f.code == "invalid_name":
		return problem{Status: f.status, Detail: err.Error()} // of the key
	case f.code != "payload_invalid":
		return problem{Status: f.status}
	}
	p := apiProblem(err)
	bad, _ := errors.AsType[*workflow.PayloadError](err)
	return problem{Status: p.Status, Title: p.Title, Detail: bad.Err.Error(), Field: p.Field}
}

// unansweredProblem is as for webhooks.
func unansweredProblem(err error) problem {
	p := problem{Status: http.StatusInternalServerError, Detail: "the request was taken, and there is no answer"}
	switch {
	case errors.Is(err, workflow.ErrRunEnded):
	case errors.Is(err, workflow.ErrEngineClosed):
		p.Status = http.StatusServiceUnavailable
	case errors.Is(err, workflow.ErrRunPaused), errors.Is(err, context.DeadlineExceeded):
		p.Status = http.StatusGatewayTimeout
	}
	return p
}

func byteCount(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return strconv.FormatInt(n>>20, 10) + " MiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
