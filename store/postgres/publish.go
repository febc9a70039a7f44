package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// publishColumns are what functions say of a publication.
const publishColumns = `p.number, p.listening, p.duplicate, p.behind, p.told`

// Publish puts a payload in the mailboxes of all runs that have an open hook which listens. It goes by
// itself, not in a batch: nothing else waits for it.
func (s *Store) Publish(ctx context.Context, p store.Publication) (store.Published, error) {
	var done store.Published
	var told store.Signal
	err := s.call(ctx, "publish to topic "+p.Topic, func(ctx context.Context, c *pgxpool.Conn) (err error) {
		done, told, err = readPublished(c.QueryRow(ctx, s.sql.publish, publishing(alone, &p)...), p.Topic)
		return err
	})
	if err == nil {
		s.tell(told)
	}
	return done, err
}

// publishing are the arguments of the function.
func publishing(mode string, p *store.Publication) []any {
	return []any{mode, p.Topic, p.Subject, p.Data, optText(p.Key), p.KeepFor.Seconds(), optText(p.Trace), optText(p.Actor), store.ServedAtOnce(p.AtOnce, p.Data)}
}

// readPublished reads publishColumns.
func readPublished(row pgx.Row, topic string) (done store.Published, told store.Signal, err error) {
	behind := false
	err = row.Scan(&done.Seq, &done.Count, &done.Duplicate, &behind, &told.Mail)
	told.Mail = withMail(told.Mail)
	if behind {
		told.Behind = []string{topic}
	}
	return done, told, err
}

// withMail are the runs among those that functions have told: those of backlogs are empty.
func withMail(told []string) []string {
	return slices.DeleteFunc(told, func(id string) bool { return id == "" })
}

// TellListeners goes on with a publication that has more listeners than one commit serves. Several
// processes at once do not wait for each other.
func (s *Store) TellListeners(ctx context.Context, atOnce int) (told int, more bool, err error) {
	var runs []string
	err = s.call(ctx, "publish to more listeners", func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, s.sql.tellPublications, store.ServedAtOnce(atOnce, nil), store.PublishBytes).Scan(&told, &more, &runs)
	})
	if err == nil {
		s.tell(store.Signal{Mail: withMail(runs)})
	}
	return told, more, err
}

// Publish puts a payload in the mailboxes of all runs that have an open hook which listens.
func (j *joined) Publish(ctx context.Context, p store.Publication) (done store.Published, err error) {
	var told store.Signal
	err = j.one(ctx, "publish to topic "+p.Topic, func(row pgx.Row) (err error) {
		done, told, err = readPublished(row, p.Topic)
		return err
	}, `SELECT `+publishColumns+` FROM tenter.publish($1, $2, $3, $4, $5, make_interval(secs => $6::double precision), $7, $8, $9) p`, publishing("within", &p)...)
	if err != nil {
		return store.Published{}, err
	}
	for kind, ids := range map[string][]string{"mail": told.Mail, "behind": told.Behind} {
		for _, id := range ids {
			err := j.query(ctx, "announce a publication", func(pgx.Row) error { return nil }, "SELECT tenter.tell($1, $2, $3)", j.s.peers.channel, kind, id)
			if err != nil {
				return store.Published{}, err
			}
		}
	}
	return done, nil
}

// Topics lists what open hooks listen to.
func (s *Store) Topics(ctx context.Context, f store.TopicFilter) (all []store.ListenedTopic, err error) {
	if s.sql.previous {
		return nil, ctx.Err()
	}
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	err = s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		rows, err := c.Query(ctx, s.sql.topics, f.After.Topic, f.After.Subject, optText(f.Topic), f.Limit)
		if err == nil {
			all, err = readAll(rows, func(row pgx.Row) (t store.ListenedTopic, err error) {
				var at *time.Time
				if err = row.Scan(&t.Topic, &t.Subject, &t.Listeners, &t.Behind, &at); at != nil {
					t.PublishedAt = at.UTC()
				}
				return t, err
			})
		}
		return err
	})
	return all, s.readError("list topics", err)
}

// toCome reads what was published to the hooks of a run and has not come to its mailbox, without IDs.
func toCome(coming *[]store.Message) func(pgx.Rows) error {
	return func(rows pgx.Rows) (err error) {
		*coming, err = readAll(rows, func(row pgx.Row) (store.Message, error) {
			m := store.Message{Kind: store.PayloadReceived}
			err := row.Scan(&m.RunID, &m.Ref, &m.Data, &m.AcceptedAt, &m.Trace, &m.Actor)
			m.AcceptedAt = m.AcceptedAt.UTC()
			return m, err
		})
		return err
	}
}
