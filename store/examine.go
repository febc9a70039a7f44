package store

import "context"

// Examiner is a store that can be looked through for what is wrong.
type Examiner interface {
	// Examine looks through the database. thorough looks at everything there is, which
	// takes its time in a large one. progress, if not nil, is told what is looked at
	// next, and how many of all parts are done.
	Examine(ctx context.Context, thorough bool, progress func(what string, done, of int)) (Examination, error)
}

// Examination is what was seen in a database.
type Examination struct {
	Schema  int      `json:"schema"`           // the version of the tables
	Known   int      `json:"known"`            // the version that the program knows
	Damage  []string `json:"damage,omitempty"` // what must not be, in words
	Size    int64    `json:"size"`             // of the database, in bytes
	Tables  []TableSize
	Workers []WorkerInfo

	Stuck       FoundRuns  // owned by a worker whose lease has lapsed, and due: nobody takes them over
	Unclaimed   FoundRuns  // free, and due for longer than a minute: nobody takes them
	Blocked     FoundRuns  // recorded as blocked
	Quarantined FoundRuns  // whose workers have died more than once without progress
	Waiting     FoundRuns  // parked, those that have made no progress for longest first
	Orphans     FoundHooks // open, though their run has ended or is not there
}

// FoundRuns are runs that were found.
type FoundRuns struct {
	Count int
	First []Run // a few of them
}

// FoundHooks are hooks that were found.
type FoundHooks struct {
	Count int
	First []Hook // a few of them
}

// TableSize is how large a table is.
type TableSize struct {
	Name  string
	Rows  int64 // in PostgreSQL about
	Dead  int64 // rows that vacuum has still to remove, about
	Bytes int64 // with its indexes; 0: not known
}
