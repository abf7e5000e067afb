// Cancels payments: signs, sends, verifies, and repeats until the answer is final. Needs Go 1.19 only.
//
//	MERCHANT_KEY=merchant-private.pem WALLET_KEY=wallet-public.pem go run cancel.go PAYMENT_ID...
//
// Prints each payment's id and result code; exits with 0 if all are cancelled. URL, CLIENT_ID, KEY_VERSION, BACKOFF_MS
// and TIMEOUT_MS override the defaults of the demo wallet.
package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"time"
)

type answer struct {
	Result    struct{ ResultCode, ResultStatus string }
	PaymentID string `json:"paymentId"`
}

var (
	target, _      = url.Parse(env("URL", "http://localhost:8080/v2/payments/cancel"))
	client         = env("CLIENT_ID", "DEMO_CLIENT")
	merchantKey, _ = x509.ParsePKCS8PrivateKey(key("MERCHANT_KEY", "data/demo/merchant-private.pem"))
	walletKey, _   = x509.ParsePKIXPublicKey(key("WALLET_KEY", "data/demo/wallet-public.pem"))
	pattern        = regexp.MustCompile(`^\s*algorithm=RSA256\s*,.*\bsignature=([^,\s]+)\s*$`)
	stay           = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	caller         = http.Client{Timeout: ms("TIMEOUT_MS", "10000"), CheckRedirect: stay}
)

func main() {
	status := 0
	for _, payment := range os.Args[1:] {
		got, isFinal := ask(payment)
		for wait := ms("BACKOFF_MS", "1000"); !isFinal; wait = time.Duration(math.Min(float64(wait*2), float64(time.Minute))) {
			time.Sleep(wait)
			got, isFinal = ask(payment)
		}
		fmt.Println(payment, got.Result.ResultCode)
		if got.Result.ResultStatus != "S" {
			status = 1
		}
	}
	os.Exit(status)
}

// Sends the cancel once; isFinal is false while the outcome is unknown.
func ask(payment string) (got answer, isFinal bool) {
	body, _ := json.Marshal(map[string]string{"paymentId": payment})
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	signature, _ := rsa.SignPKCS1v15(rand.Reader, merchantKey.(*rsa.PrivateKey), crypto.SHA256, hash(now, body))
	request, _ := http.NewRequest("POST", target.String(), bytes.NewReader(body))
	line := "algorithm=RSA256, keyVersion=" + env("KEY_VERSION", "1") + ", signature=" + base64.StdEncoding.EncodeToString(signature)
	request.Header = http.Header{"Content-Type": {"application/json; charset=UTF-8"}, "Client-Id": {client}, "Request-Time": {now}, "Signature": {line}}
	response, err := caller.Do(request)
	if err != nil {
		return got, false
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 || !isTheWallets(response.Header, text) || json.Unmarshal(text, &got) != nil {
		return got, false
	}
	return got, got.Result.ResultStatus == "F" || got.Result.ResultStatus == "S" && got.PaymentID == payment
}

func isTheWallets(headers http.Header, body []byte) bool {
	found := pattern.FindStringSubmatch(headers.Get("Signature"))
	if found == nil || headers.Get("Client-Id") != client {
		return false
	}
	unescaped, _ := url.PathUnescape(found[1]) // An undecodable signature does not verify.
	signature, _ := base64.StdEncoding.DecodeString(unescaped)
	return rsa.VerifyPKCS1v15(walletKey.(*rsa.PublicKey), crypto.SHA256, hash(headers.Get("Response-Time"), body), signature) == nil
}

// Hashes the string to sign; requests and answers sign the bytes of the body as sent.
func hash(time string, body []byte) []byte {
	sum := sha256.Sum256(append([]byte("POST "+target.Path+"\n"+client+"."+time+"."), body...))
	return sum[:]
}

func key(name, file string) []byte {
	text, err := os.ReadFile(env(name, file))
	if err != nil {
		log.Fatal(err)
	}
	block, _ := pem.Decode(text)
	return block.Bytes
}

func ms(name, otherwise string) time.Duration {
	duration, _ := time.ParseDuration(env(name, otherwise) + "ms")
	return duration
}

func env(name, otherwise string) string {
	if value, ok := os.LookupEnv(name); ok {
		return value
	}
	return otherwise
}
