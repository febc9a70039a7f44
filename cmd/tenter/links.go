package main

import (
	"time"

	"github.com/tenter-dev/tenter/inspect"
)

type linksListCmd struct {
	Run_      string `name:"run" placeholder:"RUN" help:"Links of this run, whatever has become of them."`
	Hook      string `placeholder:"ID" help:"With --run: only links to this hook."`
	Addressee string `placeholder:"WHO" help:"Links that this addressee can answer now."`
	Limit     int    `short:"n" default:"50" placeholder:"N" help:"At most this many (${default}); 0 is all."`
}

func (c *linksListCmd) Help() string {
	return `A link leads one person to the answer page of a hook. Whoever has its URL can answer, so URLs are shown nowhere: the workflow hands them out.

  tenter links list --run trip-7
  tenter links list --addressee ada@example.com

States: open (it can be answered), revoked, answered (by its addressee, with this link or another one), decided (somebody else has answered, and that is enough), closed (its hook
or its run has ended), expired, carried (its run is restarting; try again).

With --json each line is a link: id, run_id, hook_id, hook_type, addressee, state, once, title, created_at, expires_at, revoked_at, revoked_by, answered_at, answered_by (ID of the link), answer.`
}

func (c *linksListCmd) Run(a *app) error {
	f := inspect.LinkFilter{RunID: c.Run_, HookID: c.Hook, Addressee: c.Addressee}
	if err := f.Validate(); err != nil {
		return usage("%w: give --run, or --addressee", err)
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	now := time.Now()
	l := list[inspect.Link]{
		limit: c.Limit,
		page: func(limit int) ([]inspect.Link, error) {
			f.Limit = limit
			links, err := cl.Links(a.ctx, f)
			if len(links) > 0 {
				f.After = links[len(links)-1].Number
			}
			return links, err
		},
		table: table{head: []string{"LINK", "ADDRESSEE", "STATE", "EXPIRES", "HOOK", "RUN", "TITLE"}, keep: []int{0, 1, 2}},
		row: func(l inspect.Link) []cell {
			return []cell{text(l.ID).in(bold), text(l.Addressee), linkState(l, now), text(stamp(l.ExpiresAt)), text(l.HookID), text(l.RunID), text(l.Title)}
		},
		none: "No links.",
		more: listAll,
	}
	return l.print(a)
}

// linkState is the state of a link, with when it came to it.
func linkState(l inspect.Link, now time.Time) cell {
	switch l.State { //nolint:exhaustive // the others have no time
	case inspect.LinkOpen:
		return text(string(l.State)).in(green)
	case inspect.LinkAnswered:
		return text(string(l.State) + " " + ago(l.AnsweredAt, now))
	case inspect.LinkRevoked:
		if !l.RevokedAt.IsZero() {
			by := ""
			if name := l.RevokedBy.Name; name != "" {
				by = " by " + name
			}
			return text(string(l.State) + by + " " + ago(l.RevokedAt, now))
		}
	}
	return text(string(l.State))
}

type linksRevokeCmd struct {
	Links []string `arg:"" name:"link" help:"IDs of links."`
}

func (c *linksRevokeCmd) Help() string {
	return `Takes links back: nobody can answer by them any more, and their pages say so. An answer that was recorded stays. Other links of the same addressee stay as they are.

  tenter links revoke 4Q2mBz7Rk1uVc9TfXw0Ya3

Before an ID that begins with a hyphen, write --.`
}

func (c *linksRevokeCmd) Run(a *app) error {
	return a.each(c.Links, "is revoked", func(cl inspect.Client, id string) error { return cl.RevokeLink(a.ctx, id) })
}
