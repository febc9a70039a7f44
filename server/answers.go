package server

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/form"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// AnswerPath is where links to answer pages lead, below the public URL.
const AnswerPath = run.AnswerPath

// AnswerOptions configure [Answers]. The zero value works: then whoever has a link can answer.
type AnswerOptions struct {
	// Authenticate says who has sent a request, by the session of the app's own sign-in, say. If
	// nobody has signed in it answers the request itself and returns false. To come back after a
	// sign-in, keep the path in the session, on the server: it is a secret, and in a URL it
	// would leak. An identity is recorded as the name of an actor, see workflow.Actor: one that can't be,
	// with more than 256 bytes for one, gets 403. Without Authenticate nobody is asked who they are.
	Authenticate func(w http.ResponseWriter, r *http.Request) (identity string, ok bool)

	// RequireIdentity lets only the addressee of a link open it: the identity that Authenticate
	// returns has to be the same text. Without Authenticate it lets nobody in.
	RequireIdentity bool

	// Logger gets what goes wrong and is not the caller's fault. The default is slog.Default().
	Logger *slog.Logger

	// ReadTimeout bounds the reading of what is sent. The default is 30 s.
	ReadTimeout time.Duration
}

// Answers serves the pages that links of workflow.AnswerLink lead to. Mount it at [AnswerPath]; it
// does not mind a prefix before it. The engine needs Options.AnswerKeys, and the types of the hooks in
// Options.Hooks; it need not execute the workflows.
//
// A page works without JavaScript, and has none. To look at it, also with a program that follows all
// links, answers nothing: that takes a form, which has to be sent from the page within an hour after
// it was shown. A query ?choice= with a value of the choice, as [workflow.Link.ChoiceURL] makes it,
// shows that choice alone, to be confirmed.
//
// What was forged, and what is unknown, is 404. A link that was real is 410 once it is revoked, has
// expired or was answered, and its page says which; 503 while its run restarts.
func Answers(e *engine.Engine, opts AnswerOptions) http.Handler {
	if e == nil {
		panic("server: the engine is nil")
	}
	opts.ReadTimeout = cmp.Or(opts.ReadTimeout, 30*time.Second)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	return &answersHandler{engine: e, opts: opts}
}

type answersHandler struct {
	engine *engine.Engine
	opts   AnswerOptions
}

//go:embed templates/answer.html
var answerTemplates embed.FS

//go:embed static/answer.css
var answerCSS []byte

var (
	answerStyle = string(answerCSS) + string(form.Stylesheet)
	answerPages = template.Must(template.Must(template.New("answer").Funcs(template.FuncMap{
		"when": moment,
	}).ParseFS(form.Templates, "templates/*.html")).ParseFS(answerTemplates, "templates/answer.html"))
	// Nothing is loaded, nothing is executed, and forms are sent nowhere else.
	answerPolicy = "default-src 'none'; style-src 'sha256-" + styleDigest() + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

// moment is a time as people read it.
func moment(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 MST") }

func styleDigest() string {
	sum := sha256.Sum256([]byte(answerStyle))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// answerView is what a page shows.
type answerView struct {
	Style      template.CSS
	Title      string
	Paragraphs []string
	Facts      []form.Fact
	Addressee  string
	Identity   string // who has signed in; empty: nobody was asked
	Expires    time.Time
	Form       *form.Form
	Token      string
	Chosen     bool   // one choice is shown, to be confirmed
	Stale      bool   // the form was shown too long ago, or has changed
	Unchosen   bool   // it was sent by none of its buttons
	Heading    string // of a page without a form
	Message    string
	Answered   time.Time
	Answer     []form.Fact
}

func (h *answersHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	for name, value := range map[string]string{
		"Cache-Control":                "no-store",
		"Content-Security-Policy":      answerPolicy,
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "strict-origin", // no path; with no-referrer, browsers send no Origin
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"X-Robots-Tag":                 "noindex, nofollow, noarchive",
	} {
		header.Set(name, value)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
		header.Set("Allow", "GET, HEAD, POST")
		h.say(w, r, http.StatusMethodNotAllowed, "This is a page for a browser", "Open the link in a browser.")
		return
	}
	_, signed, ok := strings.Cut(r.URL.Path, AnswerPath)
	if !ok {
		h.notFound(w, r)
		return
	}
	page, err := h.engine.AnswerPage(r.Context(), signed)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	identity, ok := h.identify(w, r, page)
	switch {
	case !ok:
	case r.Method == http.MethodPost:
		h.post(w, r, page, identity)
	default:
		h.get(w, r, page, identity)
	}
}

// identify returns who has sent a request, and false if it was answered.
func (h *answersHandler) identify(w http.ResponseWriter, r *http.Request, page *engine.AnswerPage) (identity string, ok bool) {
	if h.opts.Authenticate != nil {
		if identity, ok = h.opts.Authenticate(w, r); !ok {
			return "", false
		}
	}
	if run.BadActor(identity, "", "") != "" {
		h.say(w, r, http.StatusForbidden, "You can't answer under this name",
			"The name by which you are signed in can't be recorded: it is too long, or has control characters. Tell whoever runs this site.")
		return "", false
	}
	if h.opts.RequireIdentity && (identity == "" || identity != page.Link().Addressee) {
		message := "Only the person it was issued to can open it, and you are not signed in."
		if identity != "" {
			message = "You are signed in as " + identity + ", and it was issued to another person. Ask whoever sent it."
		}
		h.say(w, r, http.StatusForbidden, "This link is for somebody else", message)
		return "", false
	}
	return identity, true
}

func (h *answersHandler) get(w http.ResponseWriter, r *http.Request, page *engine.AnswerPage, identity string) {
	if h.over(w, r, page, identity) {
		return
	}
	v := h.view(page, identity)
	v.Form, v.Chosen = newAnswerForm(page, nil, r.URL.Query().Get("choice"))
	h.render(w, r, http.StatusOK, v)
}

// isChoice tells whether a query names a value, as JSON or, for a text, as it is.
func isChoice(value, query string) bool {
	var text string
	return value == query || json.Unmarshal([]byte(value), &text) == nil && text == query
}

func (h *answersHandler) post(w http.ResponseWriter, r *http.Request, page *engine.AnswerPage, identity string) {
	if !sameOrigin(r, h.engine.PublicURL()) {
		h.say(w, r, http.StatusForbidden, notRecorded, "It did not come from the page itself. Open the link again, and answer there.")
		return
	}
	values, ok := h.read(w, r)
	if !ok {
		return
	}
	if h.over(w, r, page, identity) {
		return
	}
	genuine, current := page.CheckForm(values.Get("_token"))
	v := h.view(page, identity)
	if !genuine || !values.Has("_key") { // what was never shown is not looked at
		v.Form, _ = newAnswerForm(page, nil, "")
		v.Stale = true
		h.render(w, r, http.StatusUnprocessableEntity, v)
		return
	}
	f, _ := newAnswerForm(page, values, "")
	v.Form = f
	answer, ok := f.Payload()
	switch {
	case f.Changed:
		v.Unchosen = values.Get("_switch") != ""
		h.render(w, r, http.StatusOK, v)
	case !current:
		v.Stale = true
		h.render(w, r, http.StatusUnprocessableEntity, v)
	case !ok:
		h.render(w, r, http.StatusUnprocessableEntity, v)
	default:
		ctx := traced(r).Context()
		if identity != "" {
			ctx = workflow.WithActor(ctx, workflow.Actor{Name: identity, Via: "app"})
		}
		recorded, err := page.Answer(ctx, answer)
		if bad, ok := errors.AsType[*workflow.PayloadError](err); ok {
			f.Blame(bad.Err)
			h.render(w, r, http.StatusUnprocessableEntity, v)
			return
		}
		if err != nil {
			h.fail(w, r, err)
			return
		}
		if !recorded {
			h.over(w, r, page, identity)
			return
		}
		v = h.view(page, identity)
		v.Heading, v.Message = "Thank you", "Your answer is recorded. You can close this page."
		h.render(w, r, http.StatusOK, v)
	}
}

// notRecorded is the heading of what was refused.
const notRecorded = "Your answer was not recorded"

// read reads the form of a request, or says why it can't and returns false.
func (h *answersHandler) read(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	// A page that has kept a file sends it as base64, beside the one that replaces it. What the answer
	// amounts to is bounded by itself.
	limit := 2*int64(run.MaxPayload(h.engine)) + 64<<10
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close") // the rest is not read
		h.tooLong(w, r)
		return nil, false
	}
	in := newIntake(w, r, limit, h.opts.ReadTimeout)
	body, ok := in.all()
	if ok {
		values, err := form.Values(r.Header.Get("Content-Type"), body)
		if err == nil {
			return values, true
		}
		h.say(w, r, http.StatusBadRequest, notRecorded, "What was sent is not the form of this page. Open the link again, and answer there.")
		return nil, false
	}
	switch p := in.problem(); p.Status {
	case http.StatusRequestEntityTooLarge:
		h.tooLong(w, r)
	default:
		h.say(w, r, p.Status, notRecorded, "It did not arrive in full. Open the link again, and answer once more.")
	}
	return nil, false
}

func (h *answersHandler) tooLong(w http.ResponseWriter, r *http.Request) {
	h.say(w, r, http.StatusRequestEntityTooLarge, notRecorded, "It is too long. Go back, and make it shorter, or choose a smaller file.")
}

// sameOrigin tells whether a browser says that a form was sent from a page of this origin. One that
// says nothing is not believed.
func sameOrigin(r *http.Request, publicURL string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	if err != nil || origin.Host == "" {
		return false
	}
	public, err := url.Parse(publicURL)
	return origin.Host == r.Host || err == nil && origin.Host == public.Host && origin.Scheme == public.Scheme
}

// newAnswerForm makes the form of a page, with the values that were sent. A choice that is among those
// that the page offers is shown alone.
func newAnswerForm(page *engine.AnswerPage, values url.Values, choice string) (f *form.Form, alone bool) {
	f = form.New(form.Options{Schema: page.Schema(), Label: "Answer", Values: values, Buttons: true, Plain: true})
	member, offered, ok := page.Choice()
	if !ok {
		return f, false
	}
	field := fieldAt(f, member)
	if field == nil || field.Kind != form.Choice {
		return f, false
	}
	field.Choices = slices.DeleteFunc(slices.Clone(field.Choices), func(v form.ChoiceValue) bool { return !hasValue(offered, v) })
	if field == f.Buttons && choice != "" && len(field.Choices) > 1 {
		i := slices.IndexFunc(field.Choices, func(v form.ChoiceValue) bool { return isChoice(v.Value, choice) })
		if alone = i >= 0; alone {
			field.Choices = field.Choices[i : i+1]
		}
	}
	sayWhen(f, page, field)
	return f, alone
}

// sayWhen says at the comment with which choices it is needed.
func sayWhen(f *form.Form, page *engine.AnswerPage, choice *form.Field) {
	member, with := page.Comment()
	comment := fieldAt(f, member)
	if member == "" || comment == nil {
		return
	}
	var labels []string
	for _, v := range choice.Choices {
		if hasValue(with, v) {
			labels = append(labels, "“"+v.Label+"”")
		}
	}
	switch len(labels) {
	case 0:
		return
	case len(choice.Choices):
		comment.Required = true
	default:
		comment.Help = strings.TrimSpace(comment.Help + " Needed if you choose " + strings.Join(labels, " or ") + ".")
	}
	comment.Optional = false
}

// fieldAt returns the field of a member of the answer, or for no name that of the whole.
func fieldAt(f *form.Form, member string) *form.Field {
	for _, field := range append([]*form.Field{f.Buttons, f.Root}, f.Root.Fields...) {
		if field != nil && field.Path == member {
			return field
		}
	}
	return nil
}

func hasValue(values []json.RawMessage, v form.ChoiceValue) bool {
	return slices.ContainsFunc(values, func(o json.RawMessage) bool { return string(o) == v.Value })
}

// over says why a link can't be answered, if it can't.
func (h *answersHandler) over(w http.ResponseWriter, r *http.Request, page *engine.AnswerPage, identity string) bool {
	v := h.view(page, identity)
	status := http.StatusGone
	switch l := page.Link(); l.State {
	case inspect.LinkOpen:
		return false
	case inspect.LinkAnswered:
		v.Heading, v.Message = "Already answered", "This answer is recorded, and can't be changed here."
	case inspect.LinkDecided:
		v.Heading, v.Message = "Already decided", "Somebody else has answered, and one answer was enough. Nothing is needed from you any more."
	case inspect.LinkExpired:
		v.Heading, v.Message = "This link has expired", "It was good until "+moment(l.ExpiresAt)+". If your answer is still needed, ask whoever sent it for a new one."
	case inspect.LinkRevoked:
		v.Heading, v.Message = "This link was taken back", "Whoever sent it does not need this answer any more, or has sent a newer link."
	case inspect.LinkCarried:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", retryAfter)
		v.Heading, v.Message = "One moment", "This can't be answered just now. Try again in a few seconds."
	case inspect.LinkClosed:
		v.Heading, v.Message = "This is closed", "It takes no answers now, and nothing is needed from you."
	}
	if v.Answered.IsZero() || page.Link().State == inspect.LinkRevoked {
		v.Facts, v.Paragraphs, v.Answer, v.Answered = nil, nil, nil, time.Time{} // what it was about is no longer theirs to see
	}
	h.render(w, r, status, v)
	return true
}

func (h *answersHandler) view(page *engine.AnswerPage, identity string) *answerView {
	l := page.Link()
	v := &answerView{
		Title: page.Title(), Facts: form.Facts(page.Metadata()), Addressee: l.Addressee, Identity: identity, Expires: l.ExpiresAt, Answered: l.AnsweredAt,
		Answer: form.FactsOf(page.Schema(), l.Answer),
	}
	for p := range strings.SplitSeq(strings.ReplaceAll(page.Text(), "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			v.Paragraphs = append(v.Paragraphs, p)
		}
	}
	if l.State == inspect.LinkOpen {
		v.Token = page.FormToken()
	}
	return v
}

func (h *answersHandler) notFound(w http.ResponseWriter, r *http.Request) {
	h.say(w, r, http.StatusNotFound, "There is no such link", "Part of it may be missing. Open it from the message in which you got it, or copy all of it.")
}

// fail answers what went wrong, and tells no more than anybody may know.
func (h *answersHandler) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, workflow.ErrLinkNotFound):
		h.notFound(w, r)
	case errors.Is(err, workflow.ErrPayloadTooLarge):
		h.tooLong(w, r)
	case errors.Is(err, workflow.ErrEngineClosed):
		w.Header().Set("Retry-After", retryAfter)
		h.say(w, r, http.StatusServiceUnavailable, "One moment", "This can't be answered just now. Try again in a few seconds.")
	default:
		if r.Context().Err() == nil || !errors.Is(err, context.Canceled) { // else the caller has hung up
			h.opts.Logger.ErrorContext(r.Context(), "answer page failed", "path", run.RedactPath(r.URL.Path), "error", err)
		}
		message := "Try again in a few minutes. If that does not help, tell whoever sent you the link."
		if r.Method == http.MethodPost {
			message = "Your answer may have been recorded, or not. Open the link again: it says which."
		}
		h.say(w, r, http.StatusInternalServerError, "Something went wrong", message)
	}
}

// say answers with a page that has nothing of a link.
func (h *answersHandler) say(w http.ResponseWriter, r *http.Request, status int, heading, message string) {
	h.render(w, r, status, &answerView{Title: heading, Heading: heading, Message: message})
}

func (h *answersHandler) render(w http.ResponseWriter, r *http.Request, status int, v *answerView) {
	if v.Form != nil {
		if wrong := v.Form.Wrong(); len(wrong) > 0 {
			wrong[0].Focus = true // the page has no script that could
		}
	}
	v.Style = template.CSS(answerStyle) //nolint:gosec // it is this package's own
	var page bytes.Buffer
	if err := answerPages.ExecuteTemplate(&page, "answer.html", v); err != nil {
		h.opts.Logger.ErrorContext(r.Context(), "answer page failed", "path", run.RedactPath(r.URL.Path), "error", err)
		problem{Status: http.StatusInternalServerError}.write(w)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(page.Bytes()) // the caller has gone: nobody to tell
	}
}
