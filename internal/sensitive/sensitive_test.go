package sensitive_test

import (
	"testing"

	"github.com/tenter-dev/tenter/internal/sensitive"
)

// The headers of HTTP, of proxies that know their user, and of providers of webhooks and
// APIs, as their documentation spells them.
var sensitiveHeaders = []string{
	// HTTP
	"Authorization", "Proxy-Authorization", "Cookie", "Cookie2", "Set-Cookie", "Authentication-Info", "DPoP", "Signature", "Signature-Input",
	"Client-Cert", "Client-Cert-Chain",
	// in use everywhere
	"X-Auth", "X-Auth-Token", "X-AuthToken", "X-Auth-Key", "X-Session", "X-Session-Id", "X-SessionId", "Session-Id", "X-Sid", "JSESSIONID", "X-Credential",
	"X-Credentials", "X-Authorization", "X-Original-Authorization", "X-Forwarded-Authorization", "X-Access-Token", "X-Id-Token", "X-Refresh-Token", "X-Api-Key", "X-APIKey", "Api-Key",
	"Key", "X-Access-Key", "X-Password", "X-Passwd", "X-Secret", "X-Shared-Secret", "X-Client-Secret", "X-CSRF-Token", "X-XSRF-TOKEN", "X-Csrf", "X-OTP", "X-JWT",
	"X-Jwt-Payload", "X-Bearer", "X-Signature", "X-Sign", "X-Sig", "X-Hmac", "SSL_CLIENT_CERT", "X-SSL-Client-Cert", "X-SSL-Cert", "X-Client-Certificate",
	// proxies
	"X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-ARR-ClientCert", "X-Amzn-Mtls-Clientcert", "X-Goog-Iap-Jwt-Assertion", "X-Goog-Authenticated-User-JWT",
	"X-Serverless-Authorization", "X-Endpoint-API-UserInfo", "X-Apigateway-Api-Userinfo", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken", "X-Amz-Security-Token",
	"X-MS-CLIENT-PRINCIPAL", "X-MS-TOKEN-AAD-ACCESS-TOKEN", "X-MS-TOKEN-AAD-ID-TOKEN", "Cf-Access-Jwt-Assertion", "Cf-Access-Client-Secret", "Cf-Access-Token",
	"X-Pomerium-Jwt-Assertion", "Teleport-Jwt-Assertion", "X-Auth-Request-Access-Token", "X-Forwarded-Access-Token", "X-Vouch-IdP-AccessToken",
	"X-Vercel-Oidc-Token", "X-Vercel-Protection-Bypass", "X-Firebase-AppCheck", "X-Original-Cookie",
	// providers
	"X-Hub-Signature", "X-Hub-Signature-256", "Stripe-Signature", "X-Slack-Signature", "Webhook-Signature", "Svix-Signature", "X-Gitlab-Token", "PRIVATE-TOKEN", "JOB-TOKEN",
	"X-GitHub-OTP", "X-Shopify-Hmac-Sha256", "X-Shopify-Access-Token", "X-Twilio-Signature", "X-Telegram-Bot-Api-Secret-Token", "X-Goog-Channel-Token", "X-Goog-Api-Key",
	"Twitch-Eventsub-Message-Signature", "X-Signature-Ed25519", "PayPal-Transmission-Sig", "X-Hook-Secret", "X-Line-Signature", "X-Zm-Signature", "Linear-Signature", "X-Hook-Signature",
	"Ocp-Apim-Subscription-Key", "X-Functions-Key", "Aeg-Sas-Key", "Aeg-Sas-Token", "ServiceBusAuthorization", "DD-API-KEY", "DD-APPLICATION-KEY", "X-RapidAPI-Key", "X-Vault-Token",
	"X-Consul-Token", "X-Plex-Token", "X-Parse-Session-Token", "X-Parse-REST-API-Key", "X-Parse-Master-Key", "X-Amz-Credential", "X-Amz-Signature",
	"X-Amz-Server-Side-Encryption-Customer-Key", "Mcp-Session-Id", "X-Mashape-Key", "X-Square-Hmacsha256-Signature", "Xero-Token", "X-MBX-APIKEY",
}

var harmlessHeaders = []string{
	"", "-", "Accept", "Accept-Encoding", "Content-Type", "Content-Length", "Content-Digest", "Content-Security-Policy", "Strict-Transport-Security", "Date", "ETag", "Host", "Origin",
	"Referer", "User-Agent", "Via", "WWW-Authenticate", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Sec-Fetch-Site", "Sec-WebSocket-Key", "Public-Key-Pins",
	"X-Author", "X-Authored-By", "X-Authority", "X-Session-Duration", "X-Session-Expires", "X-Token-Type", "X-Auth-User", "X-Auth-Request-Email", "X-Auth-Request-Groups",
	"X-Keyboard", "X-Monkey", "X-Design", "X-Assigned-To", "X-Passenger", "X-Passed", "X-Signal", "X-Sidecar", "X-Cluster", "X-Certain", "X-Pinned",
	"Idempotency-Key", "X-Idempotency-Key", "Surrogate-Key", "X-Cache-Key", "X-Partition-Key",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id", "X-Correlation-Id", "Traceparent", "Tracestate", "X-Amzn-Trace-Id", "X-B3-TraceId", "Cf-Ray",
	"X-Goog-Authenticated-User-Email", "X-Amzn-Oidc-Identity", "X-MS-CLIENT-PRINCIPAL-NAME", "X-MS-CLIENT-PRINCIPAL-ID", "X-Forwarded-User", "Remote-User", "X-SSL-Client-Verify",
	"Cf-Access-Client-Id", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Limit", "Anthropic-Ratelimit-Tokens-Remaining",
	"X-GitHub-Delivery", "X-GitHub-Event", "Webhook-Id", "Webhook-Timestamp", "X-Slack-Request-Timestamp", "X-Signature-Timestamp", "X-Shopify-Topic", "PayPal-Cert-Url", "PayPal-Auth-Algo",
	"Stripe-Version", "X-Amz-Date", "X-Amz-Content-Sha256",
}

func TestHeader(t *testing.T) {
	t.Parallel()
	for _, name := range sensitiveHeaders {
		if !sensitive.Header(name) {
			t.Errorf("%s is shown", name)
		}
	}
	for _, name := range harmlessHeaders {
		if sensitive.Header(name) {
			t.Errorf("%s is masked", name)
		}
	}
}
