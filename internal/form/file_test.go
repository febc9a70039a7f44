package form

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const (
	fileSchema = `{"type":"object","format":"file","properties":{"name":{"type":"string"},"contentType":{"type":"string"},` +
		`"data":{"type":"string","contentEncoding":"base64","minLength":1}},"required":["data"],"additionalProperties":false}`
	receiptSchema = `{"type":"object","properties":{"ok":{"type":"boolean"},"receipt":` + fileSchema + `,` +
		`"photo":{"type":["null","string"],"contentEncoding":"base64","contentMediaType":"image/*"},"more":{"type":"array","items":` + fileSchema + `}},"required":["ok","receipt"]}`
)

// part is a control as a browser sends it.
type part struct{ name, file, kind, data string }

// sentInParts are the values of a form with files.
func sentInParts(t *testing.T, all ...part) url.Values {
	t.Helper()
	values, err := Values(multipartOf(t, all...))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func multipartOf(t *testing.T, all ...part) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range append(all, part{name: "_key", data: "0123456789012345"}) {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", `form-data; name="`+p.name+`"`)
		if p.kind != "" {
			h.Set("Content-Disposition", `form-data; name="`+p.name+`"; filename="`+p.file+`"`)
			h.Set("Content-Type", p.kind)
		}
		pw, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pw.Write([]byte(p.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

func receipt(values url.Values) *Form {
	return New(Options{Schema: json.RawMessage(receiptSchema), Label: "Payload", Values: values})
}

func TestFiles(t *testing.T) {
	t.Parallel()
	ok := part{name: "f/ok", data: "true"}
	pdf := part{"f/receipt", `C:\my\ré;c,"1.pdf`, "application/pdf; x=y", "%PDF"}
	want := `{"ok":true,"receipt":{"name":"ré;c,\"1.pdf","contentType":"application/pdf","data":"JVBERg=="}}`
	pdf.file = strings.ReplaceAll(pdf.file, `"`, "%22") // as browsers do
	none := part{"f/photo", "", "application/octet-stream", ""}

	f := receipt(sentInParts(t, ok, pdf, none))
	if got, good := f.Payload(); string(got) != want || !good || !f.Files {
		t.Fatalf("payload: %s, %v; want %s", got, wrong(f.Root), want)
	}
	kept := f.Root.Fields[1]
	if kept.File == nil || kept.File.Name != `ré;c,"1.pdf` || kept.File.Size() != "4 bytes" || kept.Required {
		t.Errorf("the file is shown as %+v, and needed: %t", kept.File, kept.Required)
	}
	again := part{name: "f/receipt", data: kept.Value}
	if got, _ := receipt(sentInParts(t, ok, again, part{"f/receipt", "", "application/octet-stream", ""})).Payload(); string(got) != want {
		t.Errorf("when the page that has kept it is sent: %s", got)
	}
	got, _ := receipt(sentInParts(t, ok, again, part{"f/receipt", "b", "text", "b"})).Payload()
	if other := `{"ok":true,"receipt":{"name":"b","contentType":"application/octet-stream","data":"Yg=="}}`; string(got) != other {
		t.Errorf("another file instead of one that was kept: %s, want %s", got, other)
	}
	f = receipt(sentInParts(t, ok, again, part{name: "_drop", data: "f/receipt"}))
	if f.Root.Fields[1].File != nil || !f.Changed {
		t.Errorf("after it was removed there is %+v", f.Root.Fields[1].File)
	}
	f = receipt(sentInParts(t, ok, pdf, part{"f/photo", "me.png", "image/png", "png"}, part{name: "f/more#", data: "1"}, part{"f/more/0", "c.txt", "text/plain", "c"}))
	if got, want := string(f.Root.json), strings.TrimSuffix(want, "}")+`,"photo":"cG5n","more":[{"name":"c.txt","contentType":"text/plain","data":"Yw=="}]}`; got != want {
		t.Errorf("three files: %s, want %s", got, want)
	}

	for name, tt := range map[string]struct {
		sent []part
		want string
	}{
		"none":     {[]part{ok}, "This is needed."},
		"an empty": {[]part{ok, {"f/receipt", "a", "text/plain", ""}}, "The file is empty."},
		"a text":   {[]part{ok, {name: "f/receipt", data: "C:\\fakepath\\a"}}, "Choose a file."},
		"no text":  {[]part{ok, {name: "f/receipt", data: "data:text/plain;name=a;base64,?"}}, "Choose a file."},
	} {
		f := receipt(sentInParts(t, tt.sent...))
		if _, good := f.Payload(); good || f.Root.Fields[1].Error != tt.want {
			t.Errorf("%s: %q, want %q", name, f.Root.Fields[1].Error, tt.want)
		}
	}

	kept2 := receipt(sentInParts(t, ok, pdf, part{name: "f/more#", data: "2"}, part{"f/more/0", "a", "a/b", "a"}, part{"f/more/1", "b", "a/b", "b"}, part{name: "_drop", data: "f/more/0"}))
	if more := kept2.Root.Fields[3]; more.Count != 2 || more.Fields[0].File != nil || more.Fields[1].File == nil || more.Fields[1].File.Name != "b" {
		t.Errorf("after the file of the first item was removed: %+v", more)
	}
	for _, forged := range []string{"data:x;name=..%2F..%2Fetc%2Fpasswd;base64,YQ==", "data:a%2Fb;name=%FF;base64,YQ==", "data:;name=..;base64,YQ=="} {
		f := receipt(sentInParts(t, ok, part{name: "f/receipt", data: forged}))
		var got struct {
			Receipt struct{ Name, ContentType string }
		}
		payload, _ := f.Payload()
		if err := json.Unmarshal(payload, &got); err != nil || strings.ContainsAny(got.Receipt.Name, "./") || !utf8.Valid(payload) {
			t.Errorf("%s: %s, %v", forged, payload, err)
		}
	}

	f = New(Options{Schema: json.RawMessage(receiptSchema), Prefill: json.RawMessage(want)})
	if got, _ := f.Payload(); f.JSON || string(got) != want {
		t.Errorf("with a prefill: %s", got)
	}
	for _, odd := range []string{`{"data":"not base64"}`, `{"data":"aGk=","extra":1}`, `{"Data":"aGk="}`, `{"name":"a/b","data":"aGk="}`, `{"data":""}`} {
		f := New(Options{Schema: json.RawMessage(receiptSchema), Values: sent("_as", "json", "_json", `{"ok":true,"receipt":`+odd+`}`, "_switch", "form")})
		if !f.JSON || f.Error == "" {
			t.Errorf("%s: the form takes it, and would lose some of it", odd)
		}
	}
	if facts := FactsOf(json.RawMessage(receiptSchema), json.RawMessage(`{"photo":null}`)); facts[0].Value != "None" {
		t.Errorf("no file is shown as %q", facts[0].Value)
	}
	if diff := cmp.Diff([]Fact{{Label: "Ok", Value: "Yes"}, {Label: "Receipt", Value: `ré;c,"1.pdf (4 bytes)`}, {Label: "Photo", Value: "A file of 3 bytes"}},
		FactsOf(json.RawMessage(receiptSchema), json.RawMessage(want[:len(want)-1]+`,"photo":"cG5n"}`))); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	form := "application/x-www-form-urlencoded"
	parted, body := multipartOf(t, part{name: "f", data: "\xff"})
	named, file := multipartOf(t, part{"f", "\xff", "text/plain", "x"})
	var many []part
	for range maxParts {
		many = append(many, part{name: "f"})
	}
	tooMany, lots := multipartOf(t, many...)
	for _, tt := range []struct {
		kind, body, want string
	}{
		{form, "a=%zz", "invalid URL escape"},
		{form, "a=%ff", `field "a" is not valid UTF-8`},
		{"", "a=b", `content type ""`},
		{"text/plain", "a=b", "content type text/plain is not that of a form"},
		{"multipart/form-data", "a", "boundary is empty"},
		{"multipart/form-data; boundary=b", "a", "part 1: multipart: NextPart: EOF"},
		{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\r\n\r\nx\r\n--b--\r\n", "part 1: mime: "},
		{parted, string(body), `field "f" is not valid UTF-8`},
		{tooMany, string(lots), "there are more than"},
	} {
		if v, err := Values(tt.kind, []byte(tt.body)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s of %.20q: %v, %v; want %q", tt.kind, tt.body, v, err, tt.want)
		}
	}
	if v, err := Values("", nil); err != nil || len(v) > 0 {
		t.Errorf("of nothing: %v, %v", v, err)
	}
	v, err := Values(named, file)
	if f, ok := parseFile(v.Get("f")); err != nil || !ok || f.Name != "\uFFFD" {
		t.Errorf("a file with a name that is not UTF-8: %q, %v", f.Name, err)
	}
}
