package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Unimplemented is a [Store] whose operations all fail with [errors.ErrUnsupported]. A store that
// embeds it compiles when a later version of the contract has further operations; package storetest
// says which of them it lacks. It is of no use by itself, and neither are the methods here that
// can't fail: Watch and Await tell nothing, Now is the time of this process, Shared is true.
type Unimplemented struct{}

var _ Store = Unimplemented{}

func unsupported(method string) error {
	return fmt.Errorf("%s: this store does not implement it: %w", method, errors.ErrUnsupported)
}

// Start implements [Store].
func (Unimplemented) Start(context.Context, NewRun) error {
	return unsupported("Start")
}

// Accept implements [Store].
func (Unimplemented) Accept(context.Context, Payload) (Receipt, error) {
	return Receipt{}, unsupported("Accept")
}

// Publish implements [Store].
func (Unimplemented) Publish(context.Context, Publication) (Published, error) {
	return Published{}, unsupported("Publish")
}

// Send implements [Store].
func (Unimplemented) Send(context.Context, Message) error {
	return unsupported("Send")
}

// Respond implements [Store].
func (Unimplemented) Respond(context.Context, Response) error {
	return unsupported("Respond")
}

// Terminate implements [Store].
func (Unimplemented) Terminate(context.Context, string, Event) error {
	return unsupported("Terminate")
}

// Retry implements [Store].
func (Unimplemented) Retry(context.Context, Cut) (Hook, error) {
	return Hook{}, unsupported("Retry")
}

// Fork implements [Store].
func (Unimplemented) Fork(context.Context, Fork) (Hook, error) {
	return Hook{}, unsupported("Fork")
}

// Unblock implements [Store].
func (Unimplemented) Unblock(context.Context, string) error {
	return unsupported("Unblock")
}

// Pause implements [Store].
func (Unimplemented) Pause(context.Context, string, Pause) error {
	return unsupported("Pause")
}

// Resume implements [Store].
func (Unimplemented) Resume(context.Context, string, string) error {
	return unsupported("Resume")
}

// PauseWorkflow implements [Store].
func (Unimplemented) PauseWorkflow(context.Context, string, Pause) error {
	return unsupported("PauseWorkflow")
}

// ResumeWorkflow implements [Store].
func (Unimplemented) ResumeWorkflow(context.Context, string) error {
	return unsupported("ResumeWorkflow")
}

// PausedWorkflows implements [Store].
func (Unimplemented) PausedWorkflows(context.Context) ([]PausedWorkflow, error) {
	return nil, unsupported("PausedWorkflows")
}

// PutHookTypes implements [Store].
func (Unimplemented) PutHookTypes(context.Context, []HookType) error {
	return unsupported("PutHookTypes")
}

// HookTypes implements [Store].
func (Unimplemented) HookTypes(context.Context) ([]HookType, error) {
	return nil, unsupported("HookTypes")
}

// Load implements [Store].
func (Unimplemented) Load(context.Context, string, int64) (Loaded, error) {
	return Loaded{}, unsupported("Load")
}

// Backlog implements [Store].
func (Unimplemented) Backlog(context.Context, string, string, int64, int) ([]Message, bool, error) {
	return nil, false, unsupported("Backlog")
}

// Run implements [Store].
func (Unimplemented) Run(context.Context, string) (Run, error) {
	return Run{}, unsupported("Run")
}

// Endings implements [Store].
func (Unimplemented) Endings(context.Context, []string) ([]Ending, error) {
	return nil, unsupported("Endings")
}

// Runs implements [Store].
func (Unimplemented) Runs(context.Context, Filter) ([]Run, error) {
	return nil, unsupported("Runs")
}

// Count implements [Store].
func (Unimplemented) Count(context.Context, int) (map[Status]int, error) {
	return nil, unsupported("Count")
}

// Journal implements [Store].
func (Unimplemented) Journal(context.Context, string, int64, int) ([]Event, error) {
	return nil, unsupported("Journal")
}

// Mailbox implements [Store].
func (Unimplemented) Mailbox(context.Context, string, int) ([]Message, error) {
	return nil, unsupported("Mailbox")
}

// Hook implements [Store].
func (Unimplemented) Hook(context.Context, string) (Hook, error) {
	return Hook{}, unsupported("Hook")
}

// Hooks implements [Store].
func (Unimplemented) Hooks(context.Context, HookFilter) ([]Hook, error) {
	return nil, unsupported("Hooks")
}

// Topics implements [Store].
func (Unimplemented) Topics(context.Context, TopicFilter) ([]ListenedTopic, error) {
	return nil, unsupported("Topics")
}

// Receipt implements [Store].
func (Unimplemented) Receipt(context.Context, string) (Receipt, error) {
	return Receipt{}, unsupported("Receipt")
}

// Workers implements [Store].
func (Unimplemented) Workers(context.Context) ([]WorkerInfo, error) {
	return nil, unsupported("Workers")
}

// Response implements [Store].
func (Unimplemented) Response(context.Context, string) (Response, error) {
	return Response{}, unsupported("Response")
}

// Generations implements [Store].
func (Unimplemented) Generations(context.Context, string) ([]Generation, error) {
	return nil, unsupported("Generations")
}

// Unread implements [Store].
func (Unimplemented) Unread(context.Context, string, int, int) ([]Message, error) {
	return nil, unsupported("Unread")
}

// Executing implements [Store].
func (Unimplemented) Executing(context.Context, string) ([]Attempt, error) {
	return nil, unsupported("Executing")
}

// Resync implements [Store].
func (Unimplemented) Resync(context.Context, Signal) (Signal, error) {
	return Signal{}, unsupported("Resync")
}

// Renew implements [Store].
func (Unimplemented) Renew(context.Context, Lease) error {
	return unsupported("Renew")
}

// Release implements [Store].
func (Unimplemented) Release(context.Context, string) error {
	return unsupported("Release")
}

// Claim implements [Store].
func (Unimplemented) Claim(context.Context, Claim) (Claimed, error) {
	return Claimed{}, unsupported("Claim")
}

// Apply implements [Store].
func (Unimplemented) Apply(context.Context, *Transition) ([]Outcome, error) {
	return nil, unsupported("Apply")
}

// Deposit implements [Store].
func (Unimplemented) Deposit(context.Context, Deposit) error {
	return unsupported("Deposit")
}

// Fence implements [Store].
func (Unimplemented) Fence(context.Context, string, string, int64) (Loaded, error) {
	return Loaded{}, unsupported("Fence")
}

// Prune implements [Store].
func (Unimplemented) Prune(context.Context, time.Time, int) (int, bool, error) {
	return 0, false, unsupported("Prune")
}

// TellEnds implements [Store].
func (Unimplemented) TellEnds(context.Context) (int, bool, error) {
	return 0, false, unsupported("TellEnds")
}

// TellListeners implements [Store].
func (Unimplemented) TellListeners(context.Context, int) (int, bool, error) {
	return 0, false, unsupported("TellListeners")
}

// PruneGenerations implements [Store].
func (Unimplemented) PruneGenerations(context.Context, time.Time, int) (int, bool, error) {
	return 0, false, unsupported("PruneGenerations")
}

// Answer implements [Store].
func (Unimplemented) Answer(context.Context, Answer) (Link, error) {
	return Link{}, unsupported("Answer")
}

// RevokeLink implements [Store].
func (Unimplemented) RevokeLink(context.Context, string, string) error {
	return unsupported("RevokeLink")
}

// Link implements [Store].
func (Unimplemented) Link(context.Context, string) (Link, error) {
	return Link{}, unsupported("Link")
}

// Links implements [Store].
func (Unimplemented) Links(context.Context, LinkFilter) ([]Link, error) {
	return nil, unsupported("Links")
}

// LinkKeys implements [Store].
func (Unimplemented) LinkKeys(context.Context) (map[string]int, error) {
	return nil, unsupported("LinkKeys")
}

// Installation implements [Store].
func (Unimplemented) Installation(context.Context) (string, error) {
	return "", unsupported("Installation")
}

// KeepRefused implements [Store].
func (Unimplemented) KeepRefused(context.Context, RefusedRequest, int) error {
	return unsupported("KeepRefused")
}

// RefusedRequest implements [Store].
func (Unimplemented) RefusedRequest(context.Context, string) (RefusedRequest, error) {
	return RefusedRequest{}, unsupported("RefusedRequest")
}

// RefusedRequests implements [Store].
func (Unimplemented) RefusedRequests(context.Context, RefusedFilter) ([]RefusedRequest, error) {
	return nil, unsupported("RefusedRequests")
}

// DropRefused implements [Store].
func (Unimplemented) DropRefused(context.Context, string) error {
	return unsupported("DropRefused")
}

// Watch implements [Store].
func (Unimplemented) Watch(func(Signal)) (stop func()) { return func() {} }

// Await implements [Store].
func (Unimplemented) Await() (done func()) { return func() {} }

// Now implements [Store].
func (Unimplemented) Now() time.Time { return time.Now() }

// Shared implements [Store].
func (Unimplemented) Shared() bool { return true }

// String implements [Store].
func (Unimplemented) String() string { return "a store that is not implemented" }

// Close implements [Store].
func (Unimplemented) Close() error { return unsupported("Close") }
