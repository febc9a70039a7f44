// Package store is the contract between the engine and its database.
//
// A store keeps runs, their journals, their mailboxes, hooks, receipts and
// workers. Each method is one atomic operation; no transaction is exposed. A store that
// is a [Joiner] can carry operations out in a transaction of the application.
// Payloads, inputs and results are bytes to a store.
//
// # The rules every store keeps
//
//   - Ownership. A run carries a worker and an epoch. [Worker.Apply] writes only
//     if the epoch is the one the writer knows and the run is free or the
//     writer's own; else it is [ErrFenced] and nothing is written. Claiming a
//     run raises its epoch. A parked run is free: it has no worker, and what a
//     process remembers of it stays true for as long as its epoch stands still.
//   - Wake-ups. A run is claimable when it has a message in its mailbox or a
//     WakeAt that is due, and is free or its worker's lease has lapsed. No flag
//     decides it.
//   - Journal. Only Apply, [Client.Retry] and, once, [Client.Fork] write it, so it has one writer.
//     Positions count from 1 without gaps.
//   - Mailbox. It holds exactly the messages not taken in yet. A transition
//     deletes those that it took by their ID. Messages of one run are ordered by
//     ID, which is the order of acceptance.
//   - Tokens. At most one open hook has a token. Accepting a payload and closing
//     the hook exclude each other: a payload comes before the close or is refused.
//   - Batches. A store may commit many operations at once, but each has its own
//     outcome: one that is refused never touches its neighbors.
//   - Time comes in as data. Only leases and acceptance times are the store's:
//     it is given durations, and its own clock decides. Stores keep microseconds.
//
// An error that is none of the sentinels, nor that of a context that had ended
// before, means that the outcome is unknown: the operation may or may not have
// happened, or may still happen, because a database goes on with what it has been
// sent when the connection is cut. Whoever has to know looks in a way that excludes
// what is late: [Worker.Fence] for a transition, a repeat for what is safe to repeat.
// An operation does not wait forever for a database that does not respond: it fails.
//
// Besides, a store may be an [Archiver], out of and into which runs can be copied, and an
// [Examiner], which says what is wrong with its database.
//
// A store knows nothing of workflows, steps or code, and this package imports the
// standard library only. Package storetest checks all this for any store.
package store
