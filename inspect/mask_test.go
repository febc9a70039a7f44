package inspect_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

const generated = "Xk3dQ-9_vLm2Rt7YwZ0aBcDeFgHiJkLm" // as the engine makes them

func TestMaskTokens(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                    "",
		generated:             "Xk3d…",
		"a " + generated:      "a Xk3d…",
		"<" + generated + ">": "<Xk3d…>",
		"https://example.com/.well-known/workflow/v1/webhook/" + generated + "?a=b": "https://example.com/.well-known/workflow/v1/webhook/Xk3d…?a=b",
		generated + ", " + generated: "Xk3d…, Xk3d…",
		"approve_" + generated:       "appr…", // which word it is in can't be told
		"%2F" + generated:            "%2FXk…",
		generated[:31]:               generated[:31],

		"approval:doc-7":                                                   "approval:doc-7",
		"d41d8cd98f00b204e9800998ecf8427e":                                 "d41d8cd98f00b204e9800998ecf8427e", // MD5
		"550e8400-e29b-41d4-a716-446655440000":                             "550e8400-e29b-41d4-a716-446655440000",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"01k9zv3ws6hq1c3d7nq5t8r2ab.h1":                                    "01k9zv3ws6hq1c3d7nq5t8r2ab.h1",
		"a-long-name-of-small-letters-and-hyphens":                         "a-long-name-of-small-letters-and-hyphens",
		"AN_ENVIRONMENT_VARIABLE_WITH_A_LONG_NAME":                         "AN_ENVIRONMENT_VARIABLE_WITH_A_LONG_NAME",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":          "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"äöü" + generated + "ß":                                            "äöüXk3d…ß",
		strings.Repeat("word ", 20):                                        strings.Repeat("word ", 20),
	} {
		if got := inspect.MaskTokens(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if !inspect.IsMasked(inspect.MaskTokens(generated)) || inspect.IsMasked(generated) || inspect.IsMasked("approval:doc-7") {
		t.Error("IsMasked does not know what is masked")
	}
}

// fakeClient is one that has what a test gives it.
type fakeClient struct {
	inspect.Client
	hooks   []workflow.HookInfo // in the order of their tokens
	journal []inspect.Event
	mail    []inspect.Message
	refused []inspect.RefusedRequest
}

func (c *fakeClient) RefusedRequests(context.Context, inspect.RefusedFilter) ([]inspect.RefusedRequest, error) {
	return slices.Clone(c.refused), nil
}

func (c *fakeClient) RefusedRequest(context.Context, string) (inspect.RefusedRequest, error) {
	return c.refused[0], nil
}

func (c *fakeClient) Journal(context.Context, string, int64, int) ([]inspect.Event, error) {
	return slices.Clone(c.journal), nil
}

func (c *fakeClient) Mailbox(context.Context, string) ([]inspect.Message, error) {
	return slices.Clone(c.mail), nil
}

func (c *fakeClient) Unread(context.Context, string, int) ([]inspect.Message, error) {
	return slices.Clone(c.mail), nil
}

// Hooks is as an engine has it, but for the order without a prefix.
func (c *fakeClient) Hooks(_ context.Context, f inspect.HookFilter) ([]workflow.HookInfo, error) {
	found := []workflow.HookInfo{}
	for _, h := range c.hooks {
		h.Cursor = "from " + h.Token + "~"
		if len(found) < cmp.Or(f.Limit, 100) && h.Token >= strings.TrimPrefix(f.After, "from ") && strings.HasPrefix(h.Token, f.Prefix) {
			found = append(found, h)
		}
	}
	return found, nil
}

// Whatever JSON a run has, it is JSON when it is masked, and no token is left in it.
func TestMaskedJSON(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.OneOf(rapid.Just(generated), rapid.String(), rapid.StringMatching(`[\\"<>&\n/ Au]{0,6}`), rapid.Just("\u2028"))
		text := strings.Join(rapid.SliceOfN(part, 0, 8).Draw(t, "parts"), "")
		data, err := json.Marshal(map[string]any{text: []any{text, 1e30, int64(12345678901234567), true}})
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "nested") {
			if data, err = json.Marshal(string(data)); err != nil {
				t.Fatal(err)
			}
		}
		c := inspect.ReadOnly(&fakeClient{journal: []inspect.Event{{Kind: "step_completed", Data: data}}})
		events, err := c.Journal(ctx, "r", 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(events[0].Data) {
			t.Fatalf("%s becomes %s", data, events[0].Data)
		}
		if strings.Contains(string(events[0].Data), generated) {
			t.Fatalf("it is left in %s", events[0].Data)
		}
	})
}

func TestReadOnlyMasks(t *testing.T) {
	t.Parallel()
	long := "Order_ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789" // an ID that looks like a token
	request := &inspect.Request{
		URL: "/.well-known/workflow/v1/webhook/" + strings.ReplaceAll(generated, "-", "%2D"), Header: http.Header{"X-Next": {generated}},
		Body: []byte("token=" + generated + "&torn=" + generated[:31]), BodySize: 1000,
		Response: &inspect.Response{Header: http.Header{"Location": {"/" + generated}}, Body: []byte(generated), BodySize: 32},
	}
	all := &fakeClient{
		journal: []inspect.Event{
			{Kind: "started", Data: json.RawMessage(`"` + generated + `"`), Asked: []string{"step mail " + generated + "#1", "child pay#1 run " + long, "hook 1 token approve:" + generated}},
			{Kind: "hook_claimed", Ref: "1", Data: json.RawMessage(`"` + long + `.h1"`)},
			{Kind: "step_completed", Ref: "mail " + generated + "#1"},
			{Kind: "payload_received", Ref: long + ".h1", Request: request},
		},
		mail: []inspect.Message{{Kind: "payload_received", Ref: long + ".h1", Data: json.RawMessage(`["` + generated + `"]`)}},
	}
	c := inspect.ReadOnly(all)
	events, err := c.Journal(t.Context(), "r", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []inspect.Event{
		{Kind: "started", Data: json.RawMessage(`"Xk3d…"`), Asked: []string{"step mail Xk3d…#1", "child pay#1 run " + long, "hook 1 token approve:Xk3d…"}},
		{Kind: "hook_claimed", Ref: "1", Data: json.RawMessage(`"` + long + `.h1"`)},
		{Kind: "step_completed", Ref: "mail Xk3d…#1"},
		{Kind: "payload_received", Ref: long + ".h1", Request: &inspect.Request{
			URL: "/.well-known/workflow/v1/webhook/Xk3d…", Header: http.Header{"X-Next": {"Xk3d…"}}, Body: []byte("token=Xk3d…&torn="), BodySize: 1000,
			Response: &inspect.Response{Header: http.Header{"Location": {"/Xk3d…"}}, Body: []byte("Xk3d…"), BodySize: 32},
		}},
	}
	if diff := gocmp.Diff(want, events); diff != "" {
		t.Errorf("a reader's journal (-want +got):\n%s", diff)
	}
	mail, err := c.Mailbox(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]inspect.Message{{Kind: "payload_received", Ref: long + ".h1", Data: json.RawMessage(`["Xk3d…"]`)}}, mail); diff != "" {
		t.Errorf("a reader's mailbox (-want +got):\n%s", diff)
	}
	unread, err := c.Unread(t.Context(), "r", 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(mail, unread); diff != "" {
		t.Errorf("what a reader sees of unread payloads (-mailbox +unread):\n%s", diff)
	}
	all.refused = []inspect.RefusedRequest{{Token: generated, Reason: "not " + generated, Request: *request}}
	refused, err := c.RefusedRequests(t.Context(), inspect.RefusedFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]inspect.RefusedRequest{{Token: "Xk3d…", Reason: "not Xk3d…", Request: *want[3].Request}}, refused); diff != "" {
		t.Errorf("a reader's refused requests (-want +got):\n%s", diff)
	}
	if one, err := c.RefusedRequest(t.Context(), "q"); err != nil || gocmp.Diff(refused[0], one) != "" {
		t.Errorf("a reader's refused request is %+v, %v", one, err)
	}
	if string(request.Response.Body) != generated || all.journal[0].Asked[0] != "step mail "+generated+"#1" {
		t.Error("what belongs to others was changed")
	}
}

func TestReadOnlyHooks(t *testing.T) {
	t.Parallel()
	all := &fakeClient{}
	hook := func(n int, token string) {
		all.hooks = append(all.hooks, workflow.HookInfo{ID: fmt.Sprintf("r.h%d", n), RunID: "r", Token: token})
	}
	hook(1, "Xa")
	for n := range 2500 { // pages of them
		hook(2+n, fmt.Sprintf("Xk3dQ-9_vLm2Rt7YwZ0aBcDeFgHi%04d", n))
	}
	hook(3000, "Xz")
	hook(3001, "Xz-custom")
	hook(3002, "Xz:custom")
	c := inspect.ReadOnly(all)
	ids := func(f inspect.HookFilter) (ids []string) {
		t.Helper()
		hooks, err := c.Hooks(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hooks {
			ids = append(ids, h.ID)
		}
		return ids
	}
	for _, tt := range []struct {
		f    inspect.HookFilter
		want []string
	}{
		{inspect.HookFilter{Prefix: "X"}, []string{"r.h1", "r.h3000", "r.h3001", "r.h3002"}},
		{inspect.HookFilter{Prefix: "X", Limit: 2}, []string{"r.h1", "r.h3000"}},
		{inspect.HookFilter{Prefix: "Xk3"}, nil},
		{inspect.HookFilter{Prefix: "Xz:"}, []string{"r.h3002"}},
		{inspect.HookFilter{Limit: 2}, []string{"r.h1", "r.h2"}}, // they are listed
	} {
		if diff := gocmp.Diff(tt.want, ids(tt.f)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.f, diff)
		}
	}

	// Page by page, and no cursor reveals a token that is not shown.
	f := inspect.HookFilter{Prefix: "X", Limit: 1}
	var paged []string
	for {
		hooks, err := c.Hooks(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(hooks) == 0 {
			break
		}
		paged = append(paged, hooks[0].ID)
		f.After = hooks[0].Cursor
		if plain, err := base64.RawURLEncoding.DecodeString(f.After); err != nil || !strings.HasSuffix(string(plain), " "+hooks[0].Token) {
			t.Errorf("the cursor of %s is %q", hooks[0].Token, plain)
		}
	}
	if diff := gocmp.Diff([]string{"r.h1", "r.h3000", "r.h3001", "r.h3002"}, paged); diff != "" {
		t.Errorf("page by page (-want +got):\n%s", diff)
	}
	for _, cursor := range []string{"from X", "!", base64.RawURLEncoding.EncodeToString([]byte("tokens X"))} {
		if hooks, err := c.Hooks(t.Context(), inspect.HookFilter{Prefix: "X", After: cursor}); !errors.Is(err, inspect.ErrInvalidCursor) {
			t.Errorf("the cursor %q gives %v, %v", cursor, hooks, err)
		}
	}
	if _, err := c.Hooks(t.Context(), inspect.HookFilter{Prefix: "X", Limit: -1}); err == nil {
		t.Error("a limit of -1 is accepted")
	}
}

func TestReadOnlyChangesNothing(t *testing.T) {
	t.Parallel()
	c, ctx := inspect.ReadOnly(nil), t.Context() // there is nobody to ask
	_, err1 := c.StartRun(ctx, workflow.StartRequest{Workflow: "w"})
	_, err2 := workflow.Resume(ctx, c, "token", 1)
	_, err3 := c.Redeliver(ctx, inspect.Redelivery{ID: "q"})
	for i, err := range []error{err1, err2, err3, c.CancelRun(ctx, "r"), c.TerminateRun(ctx, "r", ""), c.WakeRun(ctx, "r"), c.RetryRun(ctx, "r")} {
		if !errors.Is(err, inspect.ErrReadOnly) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}
