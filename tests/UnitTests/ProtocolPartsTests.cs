using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CancelService.Api.Exchange;
using CancelService.Api.Operations.Cancel;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Clients;
using CancelService.Infrastructure.Signing;
using CancelService.Infrastructure.Sql;
using CancelService.Protocol;
using Microsoft.Extensions.Primitives;

namespace CancelService.UnitTests;

public sealed class ProtocolPartsTests
{
    private static readonly SdkRequest Sdk = ReadVector();

    [Theory]
    [InlineData("algorithm=RSA256, keyVersion=1, signature=abc", "RSA256|1|abc")]
    [InlineData("algorithm=RSA256,keyVersion=1,signature=abc", "RSA256|1|abc")]
    [InlineData("signature=abc,keyVersion=1,algorithm=RSA256", "RSA256|1|abc")]
    [InlineData("keyVersion=1,   signature=abc ,algorithm=RSA256", "RSA256|1|abc")]
    [InlineData(" algorithm = RSA256 , keyVersion = 1 , signature = abc ", "RSA256|1|abc")]
    [InlineData("ALGORITHM=rsa256,KEYVERSION=1,Signature=aBc", "rsa256|1|aBc")]
    [InlineData("algorithm=SHA256withRSA,keyVersion=2,signature=abc", "SHA256withRSA|2|abc")]
    [InlineData("signature=abc", "-|-|abc")]
    [InlineData("keyVersion=1,signature=abc", "-|1|abc")]
    [InlineData("signature=a=b==", "-|-|a=b==")]
    [InlineData("signature=", "-|-|")]
    [InlineData("algorithm=,keyVersion=,signature=abc", "||abc")]
    [InlineData("nonce=1,signature=abc,nonce=2", "-|-|abc")]
    [InlineData("=1,signature=abc", "-|-|abc")]
    public void A_signature_header_is_parsed(string header, string expected)
    {
        SignatureHeader.TryParse(header, out var parsed).ShouldBeTrue();

        $"{parsed.Algorithm ?? "-"}|{parsed.KeyVersion ?? "-"}|{parsed.Signature}".ShouldBe(expected);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData(",")]
    [InlineData("abc")]
    [InlineData("algorithm=RSA256,keyVersion=1")]
    [InlineData("algorithm=RSA256,keyVersion=1,signature")]
    [InlineData("algorithm=RSA256,keyVersion=1,signature=abc,")]
    [InlineData("algorithm=RSA256;keyVersion=1;signature=abc")]
    [InlineData("signature=abc,signature=abc")]
    [InlineData("signature=abc,Signature=abc")]
    [InlineData("signature=,signature=abc")]
    [InlineData("keyVersion=1,keyVersion=1,signature=abc")]
    [InlineData("algorithm=RSA256,algorithm=RSA256,signature=abc")]
    public void A_malformed_signature_header_is_refused(string header) =>
        SignatureHeader.TryParse(header, out _).ShouldBeFalse();

    [Fact]
    public void A_signature_header_has_at_most_8192_characters()
    {
        var header = "signature=".PadRight(SignatureHeader.MaxLength, 'A');

        SignatureHeader.TryParse(header, out _).ShouldBeTrue();
        SignatureHeader.TryParse(header + "A", out _).ShouldBeFalse();
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("RSA256", true)]
    [InlineData("rsa256", true)]
    [InlineData("SHA256withRSA", true)]
    [InlineData("sha256WITHrsa", true)]
    [InlineData("", false)]
    [InlineData("RSA", false)]
    [InlineData("RSA512", false)]
    [InlineData("RS256", false)]
    [InlineData("none", false)]
    public void The_algorithm_RSA256_is_accepted_under_two_names(string? algorithm, bool accepted) =>
        new SignatureHeader(algorithm, null, "abc").IsRsa256.ShouldBe(accepted);

    [Theory]
    [InlineData(null, null)]
    [InlineData("0", 0)]
    [InlineData("1", 1)]
    [InlineData("2147483647", 2147483647)]
    [InlineData("2147483648", -1)]
    [InlineData("", -1)]
    [InlineData("-1", -1)]
    [InlineData("+1", -1)]
    [InlineData(" 1", -1)]
    [InlineData("1.0", -1)]
    [InlineData("one", -1)]
    public void An_impossible_key_version_is_minus_1_and_never_the_default(string? text, int? number) =>
        new SignatureHeader(null, text, "abc").KeyVersionNumber.ShouldBe(number);

    // Each text is an encoding of the bytes FB FF FE, FB FF or FB.
    [Theory]
    [InlineData("%2B%2F%2F%2B", "FBFFFE")]
    [InlineData("%2b%2f%2f%2b", "FBFFFE")]
    [InlineData("%2B//%2b", "FBFFFE")]
    [InlineData("+//+", "FBFFFE")]
    [InlineData("-__-", "FBFFFE")]
    [InlineData("-//+", "FBFFFE")]
    [InlineData("%2D%5F%5F%2D", "FBFFFE")]
    [InlineData("+/8=", "FBFF")]
    [InlineData("+/8%3D", "FBFF")]
    [InlineData("+/8%3d", "FBFF")]
    [InlineData("+/8", "FBFF")]
    [InlineData("-_8", "FBFF")]
    [InlineData("-_8=", "FBFF")]
    [InlineData("+w==", "FB")]
    [InlineData("-w", "FB")]
    [InlineData("%2bw%3d%3D", "FB")]
    // MIME encoders break lines.
    [InlineData("%2B%2F%0A%2F%2B", "FBFFFE")]
    [InlineData("%2B%2F%0D%0A%2F%2B%0D%0A", "FBFFFE")]
    [InlineData("-__-%0a", "FBFFFE")]
    [InlineData("%2bw%3d%3D%0A", "FB")]
    [InlineData("%2bw%3d%0A%3D", "FB")]
    public void A_signature_is_decoded_from_every_form_that_clients_send(string text, string bytes)
    {
        new SignatureHeader(null, null, text).TryDecode(out var decoded).ShouldBeTrue();

        Convert.ToHexString(decoded).ShouldBe(bytes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("=")]
    [InlineData("A")]
    [InlineData("AAAAA")]
    [InlineData("AA==AAAA")]
    [InlineData("AA=A")]
    [InlineData("AA AA")]
    [InlineData("AA%20AA")]
    [InlineData("AA%09AA")]
    [InlineData("%0A")]
    [InlineData("AA%C2%85AA")]
    [InlineData("AA\tAA")]
    [InlineData("%2520")]
    [InlineData("%252B%252F%252F%252B")]
    [InlineData("%2")]
    [InlineData("%ZZ%ZZ")]
    [InlineData("AAA!")]
    [InlineData("AAA\u00e9")]
    [InlineData("%C3%A9AA")]
    public void A_signature_that_is_not_base64_is_refused(string text) =>
        new SignatureHeader(null, null, text).TryDecode(out _).ShouldBeFalse();

    [Fact]
    public void The_request_of_a_published_SDK_verifies() => Sdk.Verifies().ShouldBeTrue();

    public static readonly TheoryData<string, SdkRequest> Tampered = new()
    {
        { "method", Sdk with { Method = "PUT" } },
        { "case of the method", Sdk with { Method = "Post" } },
        { "path", Sdk with { Path = "/v2/payments/cancfl" } },
        { "path with a slash at its end", Sdk with { Path = Sdk.Path + "/" } },
        { "path with a query", Sdk with { Path = Sdk.Path + "?" } },
        { "prefix", Sdk with { Path = "/api" + Sdk.Path } },
        { "client", Sdk with { ClientId = "TEST_5X00000000000001" } },
        { "time, a digit", Sdk with { Time = "2026-11-22T18:51:30.1989261Z" } },
        { "time, the same in another form", Sdk with { Time = "2026-11-22T18:51:30.198926Z" } },
        { "body, a byte", Sdk with { Body = Flipped(Sdk.Body, 20) } },
        { "body, a byte more", Sdk with { Body = [.. Sdk.Body, (byte)'\n'] } },
        { "body, a byte less", Sdk with { Body = Sdk.Body[..^1] } },
        { "no body", Sdk with { Body = [] } },
        { "signature, its first byte", Sdk with { Signature = Flipped(Sdk.Signature, 0) } },
        { "signature, its last byte", Sdk with { Signature = Flipped(Sdk.Signature, 255) } },
        { "signature, a byte less", Sdk with { Signature = Sdk.Signature[..^1] } },
        { "signature, a byte more", Sdk with { Signature = [.. Sdk.Signature, 0] } },
        { "a dot moved from client to time", Sdk with { ClientId = Sdk.ClientId + ".2026-11-22T18:51:30" } },
    };

    [Theory]
    [MemberData(nameof(Tampered), DisableDiscoveryEnumeration = true)]
    public void A_tampered_request_does_not_verify(string what, SdkRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        request.Verifies().ShouldBeFalse(what);
    }

    [Fact]
    public void Another_key_does_not_verify() => (Sdk with { Key = Given.PublicKey }).Verifies().ShouldBeFalse();

    [Fact]
    public void The_string_to_sign_has_the_documented_form()
    {
        var text = "POST /v2/payments/cancel\nCLIENT.2026-03-10T12:00:00Z.{\"a\":\"é\"}";

        SignatureScheme
            .Hash("POST", "/v2/payments/cancel", "CLIENT", "2026-03-10T12:00:00Z", Utf8("{\"a\":\"é\"}"))
            .ShouldBe(SHA256.HashData(Utf8(text)));
    }

    [Fact]
    public void A_signature_of_the_wallet_has_its_parts_in_a_fixed_order()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        File.WriteAllText(path, Given.KeyPair.ExportPkcs8PrivateKeyPem());
        try
        {
            var hash = SHA256.HashData("answer"u8);
            var header = WalletKey.Load(path, 7).Sign(hash);

            header.ShouldMatch("^algorithm=RSA256,keyVersion=7,signature=[A-Za-z0-9%]+$");
            SignatureHeader.TryParse(header, out var parsed).ShouldBeTrue();
            parsed.TryDecode(out var signature).ShouldBeTrue();
            Given.PublicKey.Verifies(hash, signature).ShouldBeTrue();
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("2019-04-04T12:08:56.253+05:30", "2019-04-04T06:38:56.2530000Z")]
    [InlineData("2019-04-04T12:08:56+05:30", "2019-04-04T06:38:56.0000000Z")]
    [InlineData("2019-04-04T12:08:56+0530", "2019-04-04T06:38:56.0000000Z")]
    [InlineData("2019-04-04T12:08:56+0000", "2019-04-04T12:08:56.0000000Z")]
    [InlineData("2019-04-04T12:08:56-11:00", "2019-04-04T23:08:56.0000000Z")]
    [InlineData("2019-04-04T12:08:56-00:00", "2019-04-04T12:08:56.0000000Z")]
    [InlineData("2019-04-04T12:08:56+14:00", "2019-04-03T22:08:56.0000000Z")]
    [InlineData("2019-04-04T12:08:56Z", "2019-04-04T12:08:56.0000000Z")]
    // Java's toString omits zero seconds.
    [InlineData("2019-04-04T12:08Z", "2019-04-04T12:08:00.0000000Z")]
    [InlineData("2019-04-04T12:08+05:30", "2019-04-04T06:38:00.0000000Z")]
    [InlineData("2019-04-04T12:08-0330", "2019-04-04T15:38:00.0000000Z")]
    [InlineData("2019-04-04T12:08:56.1Z", "2019-04-04T12:08:56.1000000Z")]
    [InlineData("2019-04-04T12:08:56.12Z", "2019-04-04T12:08:56.1200000Z")]
    [InlineData("2019-04-04T12:08:56.123Z", "2019-04-04T12:08:56.1230000Z")]
    [InlineData("2019-04-04T12:08:56.1234Z", "2019-04-04T12:08:56.1234000Z")]
    [InlineData("2019-04-04T12:08:56.12345Z", "2019-04-04T12:08:56.1234500Z")]
    [InlineData("2019-04-04T12:08:56.123456Z", "2019-04-04T12:08:56.1234560Z")]
    [InlineData("2019-04-04T12:08:56.1234567Z", "2019-04-04T12:08:56.1234567Z")]
    [InlineData("2019-04-04T12:08:56.12345678Z", "2019-04-04T12:08:56.1234567Z")]
    [InlineData("2019-04-04T12:08:56.123456789Z", "2019-04-04T12:08:56.1234567Z")]
    [InlineData("2019-04-04T12:08:56.999999999Z", "2019-04-04T12:08:56.9999999Z")]
    [InlineData("2028-02-29T00:00:00Z", "2028-02-29T00:00:00.0000000Z")]
    [InlineData("1554379736253", "2019-04-04T12:08:56.2530000Z")]
    [InlineData("0", "1970-01-01T00:00:00.0000000Z")]
    [InlineData("99999999999999", "5138-11-16T09:46:39.9990000Z")]
    public void A_request_time_is_parsed_from_every_form_that_clients_send(string text, string expected)
    {
        var read = RequestTime.Read(text).ShouldBeOfType<RequestTime.At>();

        read.Time.UtcDateTime.ToString("o", CultureInfo.InvariantCulture).ShouldBe(expected);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" 2019-04-04T12:08:56Z")]
    [InlineData("2019-04-04T12:08:56Z\n")]
    [InlineData("2019-04-04T12:08:56")]
    [InlineData("2019-04-04T12:08:56z")]
    [InlineData("2019-04-04t12:08:56Z")]
    [InlineData("2019-04-04 12:08:56Z")]
    [InlineData("2019-04-04T12:08")]
    [InlineData("2019-04-04T12:08.5Z")]
    [InlineData("2019-04-04T12:08:Z")]
    [InlineData("2019-04-04T12Z")]
    [InlineData("2019-04-04T12:60Z")]
    [InlineData("2019-04-04T12:08:56+08:00[Asia/Shanghai]")]
    [InlineData("2019-04-04")]
    [InlineData("2019-04-04T12:08:56.Z")]
    [InlineData("2019-04-04T12:08:56,253Z")]
    [InlineData("2019-04-04T12:08:56.1234567890Z")]
    [InlineData("2019-04-04T12:08:56+05")]
    [InlineData("2019-04-04T12:08:56+5:30")]
    [InlineData("2019-04-04T12:08:56+05:60")]
    [InlineData("2019-04-04T12:08:56+14:01")]
    [InlineData("2019-04-04T12:08:56+24:00")]
    [InlineData("2019-04-04T12:08:56 +05:30")]
    [InlineData("2019-04-04T24:00:00Z")]
    [InlineData("2019-04-04T12:60:00Z")]
    [InlineData("2019-04-04T12:08:60Z")]
    [InlineData("2019-02-29T12:08:56Z")]
    [InlineData("2019-13-04T12:08:56Z")]
    [InlineData("0000-01-01T00:00:00Z")]
    [InlineData("0001-01-01T00:00:00+14:00")]
    [InlineData("9999-12-31T23:59:59-14:00")]
    [InlineData("20190404T120856Z")]
    [InlineData("Thu, 04 Apr 2019 12:08:56 GMT")]
    [InlineData("٢٠١٩-04-04T12:08:56Z")]
    [InlineData("-1554379736253")]
    [InlineData("1554379736.253")]
    [InlineData("100000000000000")]
    [InlineData("١٥٥٤")]
    [InlineData("now")]
    public void A_malformed_request_time_is_refused(string text) =>
        RequestTime.Read(text).ShouldBeOfType<RequestTime.Illegal>();

    // The clock is at 2026-11-23T12:00:00Z and the tolerance is 300 s; the problem follows "The header Request-Time".
    [Theory]
    [InlineData("2026-11-23T12:05:00Z", "")]
    [InlineData("2026-11-23T12:05:00.0000001Z", "is more than 300 s away from our clock.")]
    [InlineData("2026-11-23T11:54:59.999Z", "is more than 300 s away from our clock.")]
    [InlineData("1795435200000", "")]
    [InlineData("1795435200", "is in seconds since 1970; milliseconds are meant (13 digits).")]
    [InlineData("1795435200000000", "has 16 digits; milliseconds since 1970 are meant (13 digits).")]
    [InlineData("1795435200000000000", "has 19 digits; milliseconds since 1970 are meant (13 digits).")]
    [InlineData("0", "is more than 300 s away from our clock.")]
    [InlineData("2026-11-23T12:00:00", "has no offset; end it with Z or with an offset such as +05:30.")]
    [InlineData("2026-11-23T12:00", "has no offset; end it with Z or with an offset such as +05:30.")]
    [InlineData("2026-11-23 12:00:00Z", "must be ISO 8601 with an offset, such as 2019-04-04T12:08:56+05:30.")]
    [InlineData("", "must be ISO 8601 with an offset, such as 2019-04-04T12:08:56+05:30.")]
    public void A_refused_request_time_has_its_reason(string text, string problem)
    {
        var now = new DateTimeOffset(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);

        var checkedTime = RequestTime.Check(text, now, TimeSpan.FromMinutes(5));

        (checkedTime is RequestTime.Illegal illegal ? illegal.Problem : "").ShouldBe(problem);
    }

    // A '|' separates the lines of a header.
    [Theory]
    [InlineData(null, true)]
    [InlineData("", true)]
    [InlineData("*/*", true)]
    [InlineData("*", true)]
    [InlineData("application/json", true)]
    [InlineData("APPLICATION/JSON; charset=utf-8", true)]
    [InlineData("application/*", true)]
    [InlineData("application/problem+json", true)]
    [InlineData("text/html", true)]
    [InlineData("text/*;q=0.1", true)]
    [InlineData("text/plain,text/xml,text/javascript,text/html", true)]
    [InlineData("text/plain|text/xml", true)]
    [InlineData("image/png, application/json", true)]
    [InlineData("image/png|application/json", true)]
    [InlineData("application/json;q=0.001", true)]
    [InlineData("application/json; q=1", true)]
    [InlineData("application/json; v=0", true)]
    [InlineData("application/json;q=0, */*", true)]
    [InlineData("image/png", false)]
    [InlineData("image/*", false)]
    [InlineData("application/xml", false)]
    [InlineData("application/jsonp", false)]
    [InlineData("json", false)]
    [InlineData("application/json;q=0", false)]
    [InlineData("application/json; q=0.000", false)]
    [InlineData("application/json ; Q = 0.0", false)]
    [InlineData("text/plain;q=0, application/json;q=0", false)]
    [InlineData("application/json;charset=utf-8;q=0", false)]
    public void A_client_is_served_when_it_accepts_JSON_or_any_text(string? accept, bool served) =>
        MediaTypes.AcceptsJson(Lines(accept)).ShouldBe(served);

    [Theory]
    [InlineData(null, true)]
    [InlineData("", true)]
    [InlineData("application/json", true)]
    [InlineData("application/json; charset=UTF-8", true)]
    [InlineData("Application/JSON;charset=utf-8", true)]
    [InlineData("text/json", true)]
    [InlineData("application/vnd.wallet+json", true)]
    [InlineData("application/json; charset=UTF-8|application/json; charset=UTF-8", true)]
    [InlineData("application/json, application/json", true)]
    [InlineData("application/json|text/plain", false)]
    [InlineData("text/plain", false)]
    [InlineData("application/xml", false)]
    [InlineData("application/x-www-form-urlencoded", false)]
    [InlineData("multipart/form-data; boundary=application/json", false)]
    [InlineData("application/jsonp", false)]
    [InlineData("image/x+json", false)]
    [InlineData("*/*", false)]
    [InlineData("; charset=UTF-8", false)]
    public void A_content_type_must_be_JSON_or_absent(string? contentType, bool json) =>
        MediaTypes.IsJson(Lines(contentType)).ShouldBe(json);

    // The messages come from the API page's table, else from the common table.
    [Theory]
    [InlineData("SUCCESS", "S", "Success")]
    [InlineData(
        "CANCEL_WINDOW_EXCEED",
        "F",
        "The cancellation date is beyond the period that is agreed in the contract."
    )]
    [InlineData("ORDER_NOT_EXIST", "F", "The order does not exist.")]
    [InlineData("KEY_NOT_FOUND", "F", "The key is not found.")]
    [InlineData("CLIENT_INVALID", "F", "The client is invalid.")]
    [InlineData("INVALID_SIGNATURE", "F", "The signature is invalid.")]
    [InlineData("METHOD_NOT_SUPPORTED", "F", "The server does not implement the requested HTTP method.")]
    [InlineData(
        "MEDIA_TYPE_NOT_ACCEPTABLE",
        "F",
        "The server does not implement the media type that can be accepted by the client."
    )]
    [InlineData("MERCHANT_BALANCE_NOT_ENOUGH", "F", "The merchant's balance is not enough.")]
    [InlineData("UNKNOWN_EXCEPTION", "U", "An API calling is failed, which is caused by unknown reasons.")]
    [InlineData("INVALID_API", "F", "The called API is invalid or not active.")]
    [InlineData("PROCESS_FAIL", "F", "A general business failure occurred. Do not retry.")]
    public void A_code_has_the_status_and_the_message_of_the_documentation(string code, string status, string message)
    {
        var known = Catalogue.Single(entry => entry.Code == code);

        (known.Status, known.Message).ShouldBe((status, message));
    }

    [Fact]
    public void Every_code_fits_the_wire_and_is_once_in_the_catalogue()
    {
        Catalogue.Count.ShouldBe(15);
        Catalogue.DistinctBy(entry => entry.Code, StringComparer.Ordinal).Count().ShouldBe(15);
        Catalogue.ShouldAllBe(entry => entry.Code.Length <= 64);
        Catalogue.ShouldAllBe(entry => entry.Message.Length > 0 && entry.Message.Length <= 256);
        Catalogue.Where(entry => entry.Status == "S").ShouldBe([ResultCode.Success]);
        Catalogue.Where(entry => entry.Status == "U").ShouldBe([ResultCode.UnknownException]);
        Catalogue.Count(entry => entry.Status == "F").ShouldBe(13);
    }

    // The order of the protocol's table, repeated here so that a change in src alone fails.
    [Fact]
    public void The_codes_are_decided_in_the_order_of_the_protocol() =>
        CancelOperation
            .Codes.Select(code => code.Code)
            .ShouldBe([
                "INVALID_API",
                "METHOD_NOT_SUPPORTED",
                "MEDIA_TYPE_NOT_ACCEPTABLE",
                "PARAM_ILLEGAL",
                "CLIENT_INVALID",
                "KEY_NOT_FOUND",
                "INVALID_SIGNATURE",
                "REQUEST_TRAFFIC_EXCEED_LIMIT",
                "PARAM_ILLEGAL",
                "ACCESS_DENIED",
                "ORDER_NOT_EXIST",
                "SUCCESS",
                "CANCEL_WINDOW_EXCEED",
                "PROCESS_FAIL",
                "MERCHANT_BALANCE_NOT_ENOUGH",
                "SUCCESS",
            ]);

    [Fact]
    public void The_catalogue_lists_every_code_once()
    {
        ResultCode.All.ShouldBe(Catalogue, ignoreOrder: true);
        CancelOperation
            .Codes.Append(ResultCode.UnknownException)
            .Distinct()
            .ShouldBe(ResultCode.All, ignoreOrder: true);
    }

    [Fact]
    public void Every_reason_to_refuse_a_cancel_has_a_code_of_its_own()
    {
        var reasons = typeof(CancelRefusal)
            .GetNestedTypes()
            .Select(type => (CancelRefusal)Activator.CreateInstance(type)!);

        var codes = reasons.Select(CancelOperation.CodeOf).ToList();

        codes.Count.ShouldBe(5);
        codes.Distinct().Count().ShouldBe(5);
        codes.ShouldAllBe(code => code.Status == "F");
    }

    [Fact]
    public void A_refusal_has_a_result_as_its_only_member() =>
        Encoding
            .UTF8.GetString(Answer.Of(ResultCode.ParamIllegal.Because("paymentId's too long.")).Body)
            .ShouldBe(
                """{"result":{"resultCode":"PARAM_ILLEGAL","resultStatus":"F","resultMessage":"paymentId's too long."}}"""
            );

    [Fact]
    public void The_default_settings_are_valid()
    {
        new ApiOptions().Problem().ShouldBeNull();
        new ClientsOptions().Problem().ShouldBeNull();
        new DatabaseOptions().Problem().ShouldBeNull();
        new WalletOptions().Problem().ShouldBeNull();
    }

    [Theory]
    [InlineData("00:00:01", true)]
    [InlineData("01:00:00", true)]
    [InlineData("00:00:00.9999999", false)]
    [InlineData("01:00:00.0000001", false)]
    [InlineData("-00:05:00", false)]
    public void A_tolerance_of_request_times_is_1_second_to_1_hour(string tolerance, bool possible) =>
        Problem(
            new ApiOptions { RequestTimeTolerance = Span(tolerance) }.Problem(),
            "Api:RequestTimeTolerance",
            possible
        );

    [Theory]
    [InlineData("", true)]
    [InlineData("/api", true)]
    [InlineData("/a b", false)]
    [InlineData("/a\n", false)]
    [InlineData("/api/open", true)]
    [InlineData("/", false)]
    [InlineData("/api/", false)]
    [InlineData("api", false)]
    [InlineData("https://wallet/api", false)]
    public void A_prefix_begins_with_a_slash_and_does_not_end_with_one(string prefix, bool possible)
    {
        var options = new ApiOptions { Prefixes = { "/good", prefix } };

        Problem(options.Problem(), "Api:Prefixes:1", possible);
        Problem(new ApiOptions { StrippedPrefix = prefix }.Problem(), "Api:StrippedPrefix", possible);
        if (possible)
            options.Paths("/v2/payments/cancel").ShouldBe(["/good/v2/payments/cancel", $"{prefix}/v2/payments/cancel"]);
    }

    [Fact]
    public void The_path_is_the_operation_when_no_prefix_is_configured() =>
        new ApiOptions().Paths("/v2/payments/cancel").ShouldBe(["/v2/payments/cancel"]);

    // The bounds of each limit, and the nearest values outside of them.
    [Theory]
    [InlineData("MaxConnections", "10 1000000", "9 1000001")]
    [InlineData("HeadersTimeout", "00:00:01 00:05:00", "00:00:00.9999999 00:05:00.0000001")]
    [InlineData("KeepAliveTimeout", "00:00:01 01:00:00", "00:00:00.9999999 01:00:00.0000001")]
    [InlineData("MinBodyBytesPerSecond", "1 65536", "0 65537")]
    [InlineData("MaxConcurrentRequests", "1 10000", "0 10001")]
    [InlineData("MaxQueuedRequests", "0 100000", "-1 100001")]
    [InlineData("ClientSharePercent", "1 100", "0 101")]
    [InlineData("UnverifiedAnswersBurst", "1 1000000", "0 1000001")]
    [InlineData("MaxQueueTime", "00:00:00.0100000 00:01:00", "00:00:00.0099999 00:01:00.0000001")]
    [InlineData("UnknownClientsPerSecond", "1 1000000", "0 1000001")]
    [InlineData("UnverifiedAnswersPerSecond", "1 1000000", "0 1000001")]
    [InlineData("RefusalDelay", "00:00:00 00:00:01", "-00:00:00.0000001 00:00:01.0000001")]
    public void A_limit_has_its_bounds(string name, string inside, string outside)
    {
        new LimitsOptions().Problem().ShouldBeNull();
        foreach (var value in $"{inside} {outside}".Split(' '))
        {
            var (options, setting) = (new LimitsOptions(), typeof(LimitsOptions).GetProperty(name)!);
            setting.SetValue(
                options,
                setting.PropertyType == typeof(TimeSpan) ? Span(value) : int.Parse(value, CultureInfo.InvariantCulture)
            );
            var possible = inside.Split(' ').Contains(value, StringComparer.Ordinal);
            Problem(options.Problem(), $"Limits:{name} is {setting.GetValue(options)}. Set it between ", possible);
        }
    }

    [Theory]
    [InlineData("00:00:00", true)]
    [InlineData("00:05:00", true)]
    [InlineData("-00:00:00.0000001", false)]
    [InlineData("00:05:00.0000001", false)]
    public void The_cache_time_of_clients_is_at_most_5_minutes(string time, bool possible) =>
        Problem(new ClientsOptions { CacheTime = Span(time) }.Problem(), "Clients:CacheTime", possible);

    [Theory]
    [InlineData("00:00:00.1", true)]
    [InlineData("00:01:00", true)]
    [InlineData("00:00:00.0999999", false)]
    [InlineData("00:01:00.0000001", false)]
    public void The_timeout_of_the_database_is_100_ms_to_1_minute(string timeout, bool possible) =>
        Problem(new DatabaseOptions { Timeout = Span(timeout) }.Problem(), "Database:Timeout", possible);

    [Theory]
    [InlineData(DatabaseProvider.Sqlite, null, true)]
    [InlineData(DatabaseProvider.Sqlite, "Data Source=a.db", true)]
    [InlineData(DatabaseProvider.Sqlite, "Host=db;Database=cancel", false)]
    [InlineData(DatabaseProvider.Sqlite, "Data Source=a.db;Mode=Bogus", false)]
    [InlineData(DatabaseProvider.Sqlite, "Data Source=a.db;Default Timeout=soon", false)]
    [InlineData(DatabaseProvider.Sqlite, "junk", false)]
    [InlineData(DatabaseProvider.Postgres, "Host=db;Database=cancel;Username=cancel", true)]
    [InlineData(DatabaseProvider.Postgres, "Host=db;Max Auto Prepare=0;Application Name=mine", true)]
    [InlineData(DatabaseProvider.Postgres, null, false)]
    [InlineData(DatabaseProvider.Postgres, " ", false)]
    [InlineData(DatabaseProvider.Postgres, "Data Source=a.db;Mode=Memory", false)]
    [InlineData(DatabaseProvider.Postgres, "Host=db;Port=http", false)]
    [InlineData(DatabaseProvider.Postgres, "Host=db;Port=5432000000000", false)]
    [InlineData(DatabaseProvider.Postgres, "Host=db;Max Auto Prepare=many", false)]
    [InlineData(DatabaseProvider.Postgres, "junk", false)]
    public void A_connection_string_is_refused_when_it_belongs_to_another_provider(
        DatabaseProvider provider,
        string? text,
        bool possible
    ) =>
        Problem(
            new DatabaseOptions { Provider = provider, ConnectionString = text }.Problem(),
            "Database:ConnectionString",
            possible
        );

    [Theory]
    [InlineData(1, true)]
    [InlineData(int.MaxValue, true)]
    [InlineData(0, false)]
    [InlineData(-1, false)]
    public void The_wallets_key_versions_count_from_1(int version, bool possible) =>
        Problem(new WalletOptions { KeyVersion = version }.Problem(), "Wallet:KeyVersion", possible);

    [Theory]
    [InlineData("+08:00", true)]
    [InlineData("Asia/Shanghai", true)]
    [InlineData("UTC", true)]
    [InlineData("Asia/Atlantis", false)]
    [InlineData("+15:00", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void The_wallets_zone_has_a_name_or_an_offset(string? zone, bool possible)
    {
        var options = new WalletOptions { TimeZone = zone! };

        Problem(options.Problem(), "Wallet:TimeZone", possible);
        if (possible)
            options.Zone.Id.ShouldBe(zone);
    }

    /// <summary>A signed request with every input of its signature.</summary>
    public sealed record SdkRequest(
        PublicKey Key,
        string Method,
        string Path,
        string ClientId,
        string Time,
        byte[] Body,
        byte[] Signature
    )
    {
        public bool Verifies() => Key.Verifies(SignatureScheme.Hash(Method, Path, ClientId, Time, Body), Signature);
    }

    private static SdkRequest ReadVector()
    {
        using var file = typeof(ProtocolPartsTests)
            .Assembly.GetManifestResourceStream("signed-request.json")
            .ShouldNotBeNull();
        using var json = JsonDocument.Parse(file);
        var key = Convert.FromBase64String(json.RootElement.GetProperty("merchantPublicKeySpkiBase64").GetString()!);
        var capture = json.RootElement.GetProperty("captures")[0];
        var headers = capture
            .GetProperty("headers")
            .EnumerateArray()
            .ToDictionary(pair => pair[0].GetString()!, pair => pair[1].GetString()!, StringComparer.OrdinalIgnoreCase);
        SignatureHeader.TryParse(headers["Signature"], out var signature).ShouldBeTrue();
        signature.IsRsa256.ShouldBeTrue();
        signature.KeyVersionNumber.ShouldBe(1);
        signature.TryDecode(out var bytes).ShouldBeTrue();
        return new SdkRequest(
            PublicKey.Parse(PemEncoding.WriteString("PUBLIC KEY", key)),
            capture.GetProperty("method").GetString()!,
            capture.GetProperty("requestTarget").GetString()!,
            headers["Client-Id"],
            headers["Request-Time"],
            Utf8(capture.GetProperty("body").GetString()!),
            bytes
        );
    }

    private static List<ResultCode> Catalogue =>
        [
            .. typeof(ResultCode)
                .GetFields()
                .Where(code => code.FieldType == typeof(ResultCode))
                .Select(code => (ResultCode)code.GetValue(null)!),
        ];

    // The message must name the key of the setting, so that an operator finds it.
    private static void Problem(string? problem, string key, bool possible)
    {
        if (possible)
            problem.ShouldBeNull();
        else
            problem.ShouldNotBeNull().ShouldStartWith(key);
    }

    private static byte[] Flipped(byte[] bytes, int at)
    {
        byte[] flipped = [.. bytes];
        flipped[at] ^= 1;
        return flipped;
    }

    private static StringValues Lines(string? header) =>
        header is null ? StringValues.Empty : new StringValues(header.Split('|'));

    private static TimeSpan Span(string text) => TimeSpan.Parse(text, CultureInfo.InvariantCulture);

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);
}
