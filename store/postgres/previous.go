package postgres

import (
	"regexp"
	"strings"
)

// A Reader reads a database of the schema before this one too, without migrating it. Then what the
// last migration adds is not there, and has in all rows what the migration would give them.

// addedNumbers, addedFlags, addedTimes and addedTexts are the columns that the last migration adds to
// tables that were there, with zeros, with false and with NULL; a table that it adds is empty, see
// Store.Generations.
var (
	addedNumbers = regexp.MustCompile(`\b(\w+\.)?(generation|base|listens_from|listens_to)\b`)
	addedFlags   = regexp.MustCompile(`\b(\w+\.)?(carried|awaited)\b`)
	addedTimes   = regexp.MustCompile(`\b(\w+\.)?(paused_at)\b`)
	addedTexts   = regexp.MustCompile(`\b(\w+\.)?(origin|actor|forked_from|paused_by|paused_why|subject|link_keys)\b`)
)

// withoutAdded returns a query of this schema as the one before understands it.
func withoutAdded(sql string) string {
	sql = strings.ReplaceAll(sql, runPauses, ", LATERAL (SELECT NULL::timestamptz AS at, NULL::text AS by, NULL::text AS why) p")
	sql = addedTimes.ReplaceAllString(sql, "NULL::timestamptz")
	sql = addedTexts.ReplaceAllString(sql, "NULL::text")
	return addedFlags.ReplaceAllString(addedNumbers.ReplaceAllString(sql, "0"), "false")
}
