using System.Security.Cryptography;
using System.Text;
using CancelService.Doctor;
using CancelService.Protocol;
using static CancelService.UnitTests.Doctor.Corpus;

namespace CancelService.UnitTests.Doctor;

/// <summary>Goal: a diagnosis is true for any pasted text.</summary>
public sealed class DoctorTests
{
    [Theory]
    [InlineData("")]
    [InlineData("hello")]
    [InlineData("{}")]
    [InlineData("[1,2]")]
    [InlineData("curl")]
    [InlineData("curl -H")]
    [InlineData("\0\u0001\u0002")]
    [InlineData("{\"log\":{\"entries\":[]}}")]
    [InlineData("{\"request\":{}}")]
    [InlineData("POST")]
    public void A_paste_without_a_request_is_refused(string paste)
    {
        PastedRequest.Read(Encoding.UTF8.GetBytes(paste), out var problem).ShouldBeNull();
        problem.ShouldStartWith("The text is no request that can be read.");
    }

    [Fact]
    public void A_paste_over_256_KiB_is_refused()
    {
        PastedRequest.Read(new byte[1024 * 1024], out var problem).ShouldBeNull();
        problem.ShouldBe("The text has more than 256 KiB. Paste one request.");
    }

    [Fact]
    public void A_request_is_parsed_from_every_form()
    {
        const string header = "algorithm=RSA256, keyVersion=1, signature=abc";
        const string body = """{"paymentId":"it's","extendInfo":"a \"b\" \\ é"}""";
        const string json = """{\"paymentId\":\"it's\",\"extendInfo\":\"a \\\"b\\\" \\\\ é\"}""";
        string[] forms =
        [
            $"POST https://w.example/v2/payments/cancel HTTP/1.1\nClient-Id: M-1\nSignature: {header}\nContent-Type: application/json\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\n\n{body}\n",
            $"POST https://w.example/v2/payments/cancel HTTP/1.1\r\nClient-Id: M-1\r\nSignature: {header}\r\nContent-Type: application/json\r\n\r\n{body}",
            $"""
                curl -sS -X POST 'https://w.example/v2/payments/cancel' \
                  -H 'Client-Id: M-1' -H "Signature: {header}" --header 'Content-Type: application/json' \
                  --data-raw '{body.Replace("'", "'\\''", StringComparison.Ordinal)}'
                """,
            $$$$"""{"request":{"method":"POST","url":"https://w.example/v2/payments/cancel","headers":[{"name":"client-id","value":"M-1"},{"name":"signature","value":"{{{{header}}}}"},{"name":"content-type","value":"application/json"}],"postData":{"text":"{{{{json}}}}"}}}""",
            $$"""{"@t":"2026-11-25T03:00:00Z","wire":"POST https://w.example/v2/payments/cancel HTTP/1.1\r\nClient-Id: M-1\r\nSignature: {{header}}\r\nContent-Type: application/json\r\n\r\n{{json}}"}""",
            $"2026-11-25 DEBUG >> \"POST https://w.example/v2/payments/cancel HTTP/1.1\\r\\nClient-Id: M-1\\r\\nSignature: {header}\\r\\nContent-Type: application/json\\r\\n\\r\\n{json}\"",
        ];
        foreach (var form in forms)
        {
            var read = PastedRequest.Read(Encoding.UTF8.GetBytes(form), out var problem).ShouldNotBeNull(problem);
            read.Method.ShouldBe("POST", form);
            read.Target.ShouldBe("https://w.example/v2/payments/cancel", form);
            read.Header("Client-Id").ShouldBe(["M-1"], form);
            read.Header("Signature").ShouldBe([header], form);
            read.Header("Content-Type").ShouldBe(["application/json"], form);
            Encoding.UTF8.GetString(read.Body).ShouldBe(body, form);
        }
    }

    [Theory]
    [InlineData("0001-01-01T00:00:00Z")]
    [InlineData("9999-12-31T23:59:59.9999999Z")]
    [InlineData("0")]
    [InlineData("99999999999999")]
    public void A_time_at_the_end_of_the_calendar_is_examined_like_any_other(string time)
    {
        var request = Request("line-break-crlf");
        var headers = request.Headers.Select(header =>
            header.Key == "Request-Time" ? KeyValuePair.Create(header.Key, time) : header
        );
        var diagnosis = TheDoctor.Examine(request with { Headers = [.. headers] }, Merchant, Now, cameNow: true);
        diagnosis.Code.ShouldBe("PARAM_ILLEGAL");
        diagnosis.Causes.ShouldContain(cause => cause.Id == "text-unknown");
    }

    [Fact]
    public void An_escaped_slash_makes_another_path()
    {
        var request = Request("right") with { Target = "/v2%2Fpayments/cancel" };
        TheDoctor.Examine(request, Merchant, Now, cameNow: true).Code.ShouldBe("INVALID_API");
    }

    [Fact]
    public void A_body_over_the_limit_is_not_verified()
    {
        var request = Request("right") with { Body = new byte[RequestBody.MaxBytes + 1] };
        var diagnosis = TheDoctor.Examine(request, Merchant, Now, cameNow: true);
        diagnosis.Signature.ShouldBeNull();
        diagnosis.Causes.ShouldHaveSingleItem().Id.ShouldBe("body");
    }

    [Fact]
    public void Invisible_characters_are_named_and_the_printf_command_writes_the_same_bytes()
    {
        byte[] bytes = [.. "a\r\n\t\0'%\\\u00A0\uFEFF\u200Bé"u8, 0xFF];
        Visible.Of(bytes).ShouldBe("a␍␊␉␀'%\\[NBSP][BOM][U+200B]é[0xFF]");
        Visible.Printf("a\r\n'%\\é"u8).ShouldBe("printf 'a\\015\\n\\047%%\\\\\\303\\251'");
    }

    [Fact]
    public void The_age_of_a_stored_request_is_a_cause_only_when_it_has_no_other()
    {
        var right = Request("right");
        TheDoctor
            .Examine(right, Merchant, Now.AddDays(1), cameNow: false)
            .Causes.ShouldHaveSingleItem()
            .Id.ShouldBe("clock");
        var wrong = Request("line-break-crlf");
        TheDoctor
            .Examine(wrong, Merchant, Now.AddDays(1), cameNow: false)
            .Causes.ShouldHaveSingleItem()
            .Id.ShouldBe("line-break");
        TheDoctor
            .Examine(wrong, Merchant, Now.AddDays(1), cameNow: true)
            .Causes.Select(cause => cause.Id)
            .ShouldBe(["clock", "line-break"]);
    }

    [Theory]
    [InlineData("""{"f":6,"d":4,"b":2,"e":5,"paymentId":"p","c":3}""")]
    [InlineData("""{"c":3,"b":2,"paymentId":"p","f":6,"e":5,"d":4}""")]
    public void A_body_of_six_members_signed_in_another_order_is_named(string body)
    {
        const string sent = """{"paymentId":"p","b":2,"c":3,"d":4,"e":5,"f":6}""";
        const string time = "2026-11-25T03:00:00.123Z";
        using var key = RSA.Create(2048);
        var client = MerchantWith(key);
        var signature = key.SignData(
            Encoding.UTF8.GetBytes($"POST /v2/payments/cancel\nM-1.{time}.{body}"),
            HashAlgorithmName.SHA256,
            RSASignaturePadding.Pkcs1
        );
        var request = $"""
            POST /v2/payments/cancel HTTP/1.1
            Client-Id: M-1
            Request-Time: {time}
            Signature: algorithm=RSA256, keyVersion=1, signature={Uri.EscapeDataString(
                Convert.ToBase64String(signature)
            )}
            Content-Type: application/json; charset=UTF-8

            {sent}
            """;

        var diagnosis = TheDoctor.Examine(
            PastedRequest.Read(Encoding.UTF8.GetBytes(request), out var problem).ShouldNotBeNull(problem),
            client,
            Now,
            cameNow: true
        );

        diagnosis.Causes.ShouldHaveSingleItem(DiagnosisText.Of(diagnosis)).Id.ShouldBe("body-json");
    }
}
