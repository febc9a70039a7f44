package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

type hooksListCmd struct {
	Run_   string `name:"run" placeholder:"RUN" help:"Only hooks of this run."`
	Type   string `short:"t" placeholder:"NAME" help:"Only hooks of this type."`
	Prefix string `placeholder:"TEXT" help:"Only hooks whose token begins with it; in the order of tokens."`
	Limit  int    `short:"n" default:"50" placeholder:"N" help:"At most this many (${default}); 0 is all."`
}

func (c *hooksListCmd) Help() string {
	return `A hook is where a run takes payloads from outside; its token is its address. Whoever knows the token of a hook can resume it, so generated tokens are secrets: on a server, who may only look sees their beginnings.

  tenter hooks list --type approval

A hook is reserved if a payload started its run, which has not opened it yet,
and carried if its run has restarted, and has not opened it again yet.

With --json each line is a hook: id, run_id, token, type, metadata, webhook, call, reserved, carried,
created_at.`
}

func (c *hooksListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	f := inspect.HookFilter{RunID: c.Run_, Type: c.Type, Prefix: c.Prefix}
	now := time.Now()
	l := list[workflow.HookInfo]{
		limit: c.Limit,
		page: func(limit int) ([]workflow.HookInfo, error) {
			f.Limit = limit
			hooks, err := cl.Hooks(a.ctx, f)
			if len(hooks) > 0 {
				f.After = hooks[len(hooks)-1].Cursor
			}
			return hooks, err
		},
		table: table{head: []string{"TOKEN", "TYPE", "RUN", "OPEN SINCE", "METADATA"}, keep: []int{0, 2}},
		row: func(h workflow.HookInfo) []cell {
			return []cell{text(h.Token).in(bold), text(hookKind(h)), text(h.RunID), text(ago(h.CreatedAt, now)), text(string(h.Metadata))}
		},
		none: "No open hooks.",
		more: listAll,
	}
	return l.print(a)
}

// hookKind is the type of a hook, and what else it is.
func hookKind(h workflow.HookInfo) string {
	var also []string
	for _, m := range []struct {
		is   bool
		mark string
	}{{h.Webhook, "webhook"}, {h.Call, "call"}, {h.Reserved, "reserved"}, {h.Carried, "carried"}} {
		if m.is {
			also = append(also, m.mark)
		}
	}
	if len(also) == 0 {
		return h.Type
	}
	return strings.TrimSpace(h.Type + " (" + strings.Join(also, ", ") + ")")
}

type hooksShowCmd struct {
	Token string `arg:"" help:"Token of the hook."`
}

func (c *hooksShowCmd) Help() string {
	return `Looks at a hook without resuming it, and prints the command that resumes or calls it. If a worker has kept the hook's type its JSON Schema is shown.

With --json it is one object: id, run_id, token, type, metadata, webhook, call, reserved, carried,
created_at.`
}

func (c *hooksShowCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	h, err := cl.HookByToken(a.ctx, c.Token)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		return a.out.json(h)
	}
	target, err := a.target()
	if err != nil {
		return err
	}
	t := table{head: []string{"", ""}}
	t.add(text("token"), text(h.Token).in(bold))
	if kind := hookKind(h); kind != "" {
		t.add(text("type"), text(kind))
	}
	t.add(text("id"), text(h.ID))
	t.add(text("run"), text(h.RunID))
	t.add(text("open"), text(fmt.Sprintf("since %s, %s", stamp(h.CreatedAt), ago(h.CreatedAt, time.Now()))))
	t.print(a.out, "")
	schema := payloadSchemas(a.ctx, cl)[h.Type]
	for _, part := range []struct {
		title string
		data  []byte
	}{{"METADATA", h.Metadata}, {"PAYLOAD, AS JSON SCHEMA", schema}} {
		if len(part.data) > 0 {
			a.out.heading(part.title)
			a.out.printf("%s\n", indent(pretty(part.data), "  "))
		}
	}
	if h.Call {
		a.out.heading("HOW TO CALL IT")
		a.out.printf("  %s\n", a.out.in(bold, clean(target.command("hooks", "call", h.Token, example(schema)))))
		return nil
	}
	a.out.heading("HOW TO RESUME IT")
	if h.Webhook {
		a.out.printf("  It is a webhook: it takes HTTP requests at its URL.\n")
		return nil
	}
	a.out.printf("  %s\n", a.out.in(bold, clean(target.command("hooks", "resume", h.Token, example(schema)))))
	return nil
}

type hooksResumeCmd struct {
	Token   string `arg:"" help:"Token of the hook."`
	Payload string `arg:"" help:"Payload as JSON, @FILE, or - for standard input."`
	Key     string `placeholder:"KEY" help:"Idempotency key: a second payload with it is dropped, so that this is safe to repeat."`
}

func (c *hooksResumeCmd) Help() string {
	return `Sends a payload and returns when it is durable: then the run will get it, whatever crashes. If no hook has the token nothing is written, and the exit code is 3.

  tenter hooks resume approval:doc-7 '{"approved": true}'
  tenter hooks resume approval:doc-7 @decision.json --key decision-1
  echo '"hello"' | tenter hooks resume chat:42 -

A payload that does not fit the hook's type is refused with exit code 4: on a server by its code, on a database by the JSON Schema that workers have kept there. What only the Validate
method of a type refuses, a database can't know: the run is told, as a PayloadError, and may wait again or fail.

With --json it is the hook that took it, as with "tenter hooks show"; duplicate says that the key was known and the payload was dropped.`
}

func (c *hooksResumeCmd) Run(a *app) error {
	payload, err := a.payload("payload", c.Payload)
	if err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	var opts []workflow.ResumeOption
	if c.Key != "" {
		opts = append(opts, workflow.IdempotencyKey(c.Key))
	}
	h, err := workflow.Resume(a.ctx, cl, c.Token, payload, opts...)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		return a.out.json(h)
	}
	switch {
	case h.Duplicate:
		a.out.printf("A payload with this key was accepted before for hook %s of run %s; this one was dropped.\n", line(h.ID), line(h.RunID))
	default:
		a.out.printf("Accepted for hook %s of run %s.\n", line(h.ID), line(h.RunID))
	}
	return nil
}
