package sqlite

import (
	"regexp"
	"strings"
)

// A Reader reads a file of the schema before this one too, without migrating it. Then what the
// last migration adds is not there, and has in all rows what the migration would give them.

// addedNumbers and addedTexts are the columns that the last migration adds to tables that were there,
// with zeros and with NULL; a table that it adds is empty, see Store.Generations.
var (
	addedNumbers = regexp.MustCompile(`\b(\w+\.)?(generation|base|carried|awaited|listens_from|listens_to)\b`)
	addedTexts   = regexp.MustCompile(`\b(\w+\.)?(origin|actor|paused_at|paused_by|paused_why|subject|link_keys)\b`)
)

// sql returns a query of this schema as the file understands it.
func (c *conn) sql(query string) string {
	if !c.previous {
		return query
	}
	query = strings.ReplaceAll(query, runPauses, " LEFT JOIN (SELECT NULL AS workflow, NULL AS at, NULL AS by, NULL AS why) p USING (workflow)")
	return addedNumbers.ReplaceAllString(addedTexts.ReplaceAllString(query, "NULL"), "0")
}
