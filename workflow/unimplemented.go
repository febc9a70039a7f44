package workflow

import (
	"context"
	"errors"
	"fmt"
)

// UnimplementedClient is a [Client] whose methods all fail with [errors.ErrUnsupported]. An
// implementation or a fake that embeds it has only the methods that it needs, and compiles when a
// later version adds some. To record what code starts and resumes, use workflowtest.FakeClient.
type UnimplementedClient struct{}

var _ Client = UnimplementedClient{}

func unsupported(method string) error {
	return fmt.Errorf("%s: this client does not implement it: %w", method, errors.ErrUnsupported)
}

// StartRun implements [Client].
func (UnimplementedClient) StartRun(context.Context, StartRequest) (string, error) {
	return "", unsupported("StartRun")
}

// ResumeHook implements [Client].
func (UnimplementedClient) ResumeHook(context.Context, ResumeRequest) (HookInfo, error) {
	return HookInfo{}, unsupported("ResumeHook")
}

// Publish implements [Client].
func (UnimplementedClient) Publish(context.Context, PublishRequest) (Publication, error) {
	return Publication{}, unsupported("Publish")
}

// CallHook implements [Client].
func (UnimplementedClient) CallHook(context.Context, CallRequest) (CallAnswer, error) {
	return CallAnswer{}, unsupported("CallHook")
}

// AwaitAnswer implements [Client].
func (UnimplementedClient) AwaitAnswer(context.Context, AnswerRequest) (CallAnswer, error) {
	return CallAnswer{}, unsupported("AwaitAnswer")
}

// HookByToken implements [Client].
func (UnimplementedClient) HookByToken(context.Context, string) (HookInfo, error) {
	return HookInfo{}, unsupported("HookByToken")
}

// RunInfo implements [Client].
func (UnimplementedClient) RunInfo(context.Context, string) (RunInfo, error) {
	return RunInfo{}, unsupported("RunInfo")
}

// AwaitRun implements [Client].
func (UnimplementedClient) AwaitRun(context.Context, string) (RunResult, error) {
	return RunResult{}, unsupported("AwaitRun")
}

// CancelRun implements [Client].
func (UnimplementedClient) CancelRun(context.Context, string) error { return unsupported("CancelRun") }

// TerminateRun implements [Client].
func (UnimplementedClient) TerminateRun(context.Context, string, string) error {
	return unsupported("TerminateRun")
}

// WakeRun implements [Client].
func (UnimplementedClient) WakeRun(context.Context, string) error { return unsupported("WakeRun") }

// RetryRun implements [Client].
func (UnimplementedClient) RetryRun(context.Context, string) error { return unsupported("RetryRun") }

// ForkRun implements [Client].
func (UnimplementedClient) ForkRun(context.Context, ForkRequest) (ForkPlan, error) {
	return ForkPlan{}, unsupported("ForkRun")
}

// PauseRun implements [Client].
func (UnimplementedClient) PauseRun(context.Context, string, PauseRequest) error {
	return unsupported("PauseRun")
}

// ResumeRun implements [Client].
func (UnimplementedClient) ResumeRun(context.Context, string) error { return unsupported("ResumeRun") }

// PauseWorkflow implements [Client].
func (UnimplementedClient) PauseWorkflow(context.Context, string, PauseRequest) error {
	return unsupported("PauseWorkflow")
}

// ResumeWorkflow implements [Client].
func (UnimplementedClient) ResumeWorkflow(context.Context, string) error {
	return unsupported("ResumeWorkflow")
}
