using System.Text;
using System.Text.Json;
using CancelService.Api.Exchange;
using CancelService.Protocol;
using CsCheck;

namespace CancelService.UnitTests;

/// <summary>
/// Goal: valid bodies parse, and each mistake has a message of its own: a merchant's developer sees nothing else.
/// </summary>
public sealed class BodyTests
{
    private static readonly string[] Names = ["paymentId", "paymentRequestId", "extendInfo"];

    [Theory]
    [InlineData("""{"paymentId":"1","paymentRequestId":"2","extendInfo":"3"}""", "1", "2", "3")]
    [InlineData("""{"extendInfo":"3","paymentRequestId":"2","paymentId":"1"}""", "1", "2", "3")]
    [InlineData("""{"paymentId":"1"}""", "1", null, null)]
    [InlineData("""{"paymentId":"1","paymentRequestId":null,"extendInfo":null}""", "1", null, null)]
    [InlineData("""{"paymentId":null}""", null, null, null)]
    [InlineData("""{}""", null, null, null)]
    [InlineData("""{"paymentId":""}""", "", null, null)]
    [InlineData(" \r\n\t{ \"paymentId\" :\n\"1\" } \n", "1", null, null)]
    [InlineData("\uFEFF{\"paymentId\":\"1\"}", "1", null, null)]
    [InlineData("""{"\u0070aymentId":"\u0031"}""", "1", null, null)]
    [InlineData("""{"PaymentId":"1","PAYMENTID":"2"}""", null, null, null)]
    [InlineData("""{"paymentId":"1","merchantAccountId":null,"x":{"paymentId":2},"y":[1,{}]}""", "1", null, null)]
    [InlineData("""{"paymentId":"1","x":"\ud83d"}""", "1", null, null)]
    [InlineData("""{"extendInfo":"{\"memo\":\"\u00e9 \uD83D\uDE00\"}"}""", null, null, "{\"memo\":\"é 😀\"}")]
    [InlineData("""{"extendInfo":"a\u0000b"}""", null, null, "a\0b")]
    public void A_body_is_parsed(string body, string? paymentId, string? requestId, string? extendInfo) =>
        StringMembers
            .Read(Body(body), Names)
            .ShouldBeOfType<StringMembers.Given>()
            .Values.ShouldBe([paymentId, requestId, extendInfo]);

    [Theory]
    [InlineData("", "The body is empty; it must be a JSON object.")]
    [InlineData(" \r\n", "The body is empty; it must be a JSON object.")]
    [InlineData("\uFEFF", "The body is empty; it must be a JSON object.")]
    [InlineData("null", "The body is null; it must be a JSON object.")]
    [InlineData("true", "The body is a boolean; it must be a JSON object.")]
    [InlineData("17", "The body is a number; it must be a JSON object.")]
    [InlineData("[]", "The body is an array; it must be a JSON object.")]
    [InlineData("""[{"paymentId":"1"}]""", "The body is an array; it must be a JSON object.")]
    [InlineData(
        "\"{\\\"paymentId\\\":\\\"1\\\"}\"",
        "The body is a string; it must be a JSON object. If the string holds JSON, it was encoded twice."
    )]
    [InlineData("paymentId=1", "The body looks like a form (name=value); it must be a JSON object.")]
    [InlineData("paymentId=1&extendInfo=", "The body looks like a form (name=value); it must be a JSON object.")]
    [InlineData("<html></html>", "The body is XML or HTML; it must be a JSON object.")]
    [InlineData("\n<?xml version=\"1.0\"?>", "The body is XML or HTML; it must be a JSON object.")]
    [InlineData("--boundary\r\nContent-Disposition: form-data", "The body is multipart; it must be a JSON object.")]
    [InlineData("hello", "The body is not JSON; it must be a JSON object.")]
    [InlineData("[object Object]", "The body is an array; it must be a JSON object.")]
    [InlineData("//x\n{}", "The body holds a comment; JSON has none.")]
    [InlineData("""{"paymentId":"1"/*comment*/}""", "The body holds a comment; JSON has none.")]
    [InlineData("{\"paymentId\":\"1\" // comment\n}", "The body holds a comment; JSON has none.")]
    [InlineData("{/**/}", "The body holds a comment; JSON has none.")]
    [InlineData("""{"paymentId":/**/"1"}""", "The body holds a comment; JSON has none.")]
    [InlineData("{} # x", "The body holds a comment; JSON has none.")]
    [InlineData("""{"paymentId":"1",}""", "The body holds a comma before a closing bracket at byte 18; remove it.")]
    [InlineData(
        """{"paymentId":"1","x":[1, ] }""",
        "The body holds a comma before a closing bracket at byte 26; remove it."
    )]
    [InlineData("{", "The body ends before its JSON object does: a part of it is missing.")]
    [InlineData("""{"paymentId":"1" """, "The body ends before its JSON object does: a part of it is missing.")]
    [InlineData("""{"paymentId":"1",""", "The body ends before its JSON object does: a part of it is missing.")]
    [InlineData("""{"paymentId":""", "The body ends before its JSON object does: a part of it is missing.")]
    [InlineData("""{"paymentId":"1""", "The body ends before its JSON object does: a part of it is missing.")]
    [InlineData("""{"paymentId":"1\""", "The body ends before its JSON object does: a part of it is missing.")]
    [InlineData("""{"payment""", "The body ends before its JSON object does: a part of it is missing.")]
    [InlineData("""{"paymentId":"1"}}""", "More text follows the JSON object at byte 18.")]
    [InlineData("""{"paymentId":"1"}{}""", "More text follows the JSON object at byte 18.")]
    [InlineData("{\"paymentId\":\"1\"}\0", "A NUL follows the JSON object at byte 18.")]
    [InlineData("{'paymentId':'1'}", "The body holds single quotation marks at byte 2; JSON has double ones.")]
    [InlineData("{\"paymentId\":'1'}", "The body holds single quotation marks at byte 14; JSON has double ones.")]
    [InlineData(
        "{\"paymentId\":“1”}",
        "The body holds typographic quotation marks or spaces at byte 14; JSON has plain ones."
    )]
    [InlineData("""{paymentId:"1"}""", "A member's name is not in quotation marks at byte 2.")]
    [InlineData("""{"paymentId":"1",extendInfo:""}""", "A member's name is not in quotation marks at byte 18.")]
    [InlineData("{A:1}", "A member's name is not in quotation marks at byte 2.")]
    [InlineData("{Z:1}", "A member's name is not in quotation marks at byte 2.")]
    [InlineData("{a:1}", "A member's name is not in quotation marks at byte 2.")]
    [InlineData("{z:1}", "A member's name is not in quotation marks at byte 2.")]
    [InlineData("""{"extendInfo":"a b\x"}""", "extendInfo holds an escape that JSON does not have at byte 19.")]
    [InlineData("""{"paymentId":"1",,"x":1}""", "A member's name is missing at byte 18.")]
    [InlineData("""{"paymentId"}""", "A colon is missing behind a member's name at byte 12.")]
    [InlineData("""{"paymentId" "1"}""", "A colon is missing behind a member's name at byte 12.")]
    [InlineData("""{"paymentId":1 "x":2}""", "A comma is missing between two values at byte 16.")]
    [InlineData(
        """{"paymentId":"1" "extendInfo":""}""",
        "paymentId ends too early, or a comma is missing behind it at byte 18: a quotation mark inside a string is written \\\"."
    )]
    [InlineData(
        """{"extendInfo":"{"memo":"x"}"}""",
        "extendInfo ends too early, or a comma is missing behind it at byte 18: a quotation mark inside a string is written \\\"."
    )]
    [InlineData("""{"paymentId":None}""", "paymentId has a value that is not JSON at byte 14.")]
    [InlineData("""{"paymentId":undefined}""", "paymentId has a value that is not JSON at byte 14.")]
    [InlineData("""{"paymentId":01}""", "paymentId has a value that is not JSON at byte 14.")]
    [InlineData("""{"x":NaN}""", "A member has a value that is not JSON at byte 6.")]
    [InlineData("""{"paymentId":}""", "paymentId has a value that is not JSON at byte 14.")]
    [InlineData("""{"extendInfo":"\x"}""", "extendInfo holds an escape that JSON does not have at byte 16.")]
    [InlineData("""{"extendInfo":"\u12g4"}""", "extendInfo holds an escape that JSON does not have at byte 16.")]
    [InlineData("""{"extendInfo":"\'"}""", "extendInfo holds an escape that JSON does not have at byte 16.")]
    [InlineData(
        "{\"extendInfo\":\"\n\"}",
        "extendInfo holds a raw line break or control character at byte 16; write it as an escape, such as \\n."
    )]
    [InlineData(
        "{\"x\":\"\t\"}",
        "A string holds a raw line break or control character at byte 7; write it as an escape, such as \\n."
    )]
    [InlineData(
        "{\"payment\nId\":\"1\"}",
        "A member's name holds a raw line break or control character at byte 10; write it as an escape, such as \\n."
    )]
    [InlineData("""{"paymentId":"1","paymentId":"1"}""", "paymentId is given twice at byte 18.")]
    [InlineData("""{"paymentId":"1","paymentId":null}""", "paymentId is given twice at byte 18.")]
    [InlineData("""{"paymentId":"1","\u0070aymentId":"2"}""", "paymentId is given twice at byte 18.")]
    [InlineData("""{"paymentId":"1","x":1,"x":2}""", "A member is given twice at byte 24.")]
    [InlineData("""{"paymentId":"1","x":{"y":1,"y":2}}""", "A member is given twice at byte 29.")]
    [InlineData("""{"x":{"paymentId":1,"paymentId":2}}""", "A member is given twice at byte 21.")]
    [InlineData("""{"paymentId":"1","x":[{"y":1,"\u0079":2}]}""", "A member is given twice at byte 30.")]
    [InlineData(
        """{"paymentId":"\uD83D"}""",
        "paymentId holds half of a surrogate pair at byte 14; send whole characters."
    )]
    [InlineData(
        """{"extendInfo":"\uDE00\uD83D"}""",
        "extendInfo holds half of a surrogate pair at byte 15; send whole characters."
    )]
    [InlineData("""{"paymentId":1}""", "paymentId must be a string, not a number.")]
    [InlineData("""{"paymentId":true}""", "paymentId must be a string, not a boolean.")]
    [InlineData("""{"paymentId":{}}""", "paymentId must be a string, not an object.")]
    [InlineData("""{"paymentRequestId":["1"]}""", "paymentRequestId must be a string, not an array.")]
    [InlineData("""{"paymentId":"1","paymentRequestId":2}""", "paymentRequestId must be a string, not a number.")]
    [InlineData("""{"paymentId":"1","extendInfo":{"memo":"memo"}}""", "extendInfo must be a string, not an object.")]
    public void Each_mistake_in_a_body_has_a_message_of_its_own(string body, string sentence) =>
        Problem(Encoding.UTF8.GetBytes(body)).ShouldBe(sentence);

    [Theory]
    [InlineData("1F8B080000000000", "", "The body is compressed; send it as plain JSON.")]
    [InlineData("7801AB56", "", "The body is compressed; send it as plain JSON.")]
    [InlineData("785EAB56", "", "The body is compressed; send it as plain JSON.")]
    [InlineData("78DAAB56", "", "The body is compressed; send it as plain JSON.")]
    [InlineData("789CAB56", "", "The body is compressed; send it as plain JSON.")]
    [InlineData("28B52FFD", "", "The body is compressed; send it as plain JSON.")]
    [InlineData("0B0280", "br", "The body is compressed (Content-Encoding); send it as plain JSON.")]
    [InlineData("1F8B080000000000", "gzip", "The body is compressed (Content-Encoding); send it as plain JSON.")]
    [InlineData("7B227061796D656E744964223A22FF227D", "", "The body is not UTF-8 at byte 15.")]
    [InlineData("7B227061796D656E744964223A22C0B1227D", "", "The body is not UTF-8 at byte 15.")]
    [InlineData("7B227061796D656E744964223A22EDA0BD227D", "", "The body is not UTF-8 at byte 15.")]
    [InlineData("7B227061796D656E744964223A22C3227D", "", "The body is not UTF-8 at byte 15.")]
    [InlineData("7B2278223A22FF222C227061796D656E744964223A2231227D", "identity", "The body is not UTF-8 at byte 7.")]
    [InlineData("FFFE7B007D00", "", "The body is in UTF-16 or UTF-32; send it in UTF-8.")]
    [InlineData("FEFF007B007D", "", "The body is in UTF-16 or UTF-32; send it in UTF-8.")]
    [InlineData("7B0022007D00", "", "The body is in UTF-16 or UTF-32; send it in UTF-8.")]
    [InlineData("007B0022007D", "", "The body is in UTF-16 or UTF-32; send it in UTF-8.")]
    [InlineData("7B0000002200000022", "", "The body is in UTF-16 or UTF-32; send it in UTF-8.")]
    public void A_body_in_another_encoding_is_refused_with_the_name_of_the_encoding(
        string hex,
        string encoding,
        string sentence
    ) => Problem(Convert.FromHexString(hex), encoding).ShouldBe(sentence);

    [Theory]
    [InlineData(63, true)]
    [InlineData(64, false)]
    [InlineData(30_000, false)]
    public void A_body_is_refused_when_it_is_nested_more_than_64_levels_deep(int depth, bool accepted)
    {
        var body = $$"""{"paymentId":"1","x":{{new string('[', depth)}}{{new string(']', depth)}}}""";

        if (accepted)
            StringMembers.Read(Body(body), Names).ShouldBeOfType<StringMembers.Given>();
        else
            Problem(Encoding.UTF8.GetBytes(body)).ShouldBe("The body is nested more than 64 levels deep.");
    }

    /// <summary>
    /// Goal: a body that was truncated, duplicated or mutated at random gets one of our messages, within its maximum
    /// length, and never an exception.
    /// </summary>
    [Trait(Category.Trait, Category.Seeded)]
    [Fact]
    public void Mutated_bodies_get_a_message_that_does_not_echo_them()
    {
        const string good = """{"paymentId":"SECRET","x":[1,{"y":null}],"extendInfo":"{\"a\":\"SECRET \u00e9\"}"}""";
        const string bytes = "{}[]\",:'/\\0\n\0eu-\u00e9“";
        var change = Gen.Select(Gen.Int[0, good.Length - 1], Gen.Int[0, 6], Gen.String[Gen.Char[bytes], 0, 3]);
        change
            .List[1, 4]
            .Sample(changes =>
            {
                var body = good;
                foreach (var (at, length, text) in changes)
                {
                    var start = Math.Min(at, body.Length);
                    body = body.Remove(start, Math.Min(length, body.Length - start)).Insert(start, text);
                }
                if (StringMembers.Read(Body(body), Names) is not StringMembers.Illegal { Problem: var problem })
                    return IsJson(body);
                return problem.Length is > 0 and <= 256
                    && !problem.Contains("SECRET", StringComparison.Ordinal)
                    && !problem.StartsWith("The body must be a JSON object", StringComparison.Ordinal);
            });
    }

    [Theory]
    [InlineData("order 17 😀", "\"order 17 😀\"")]
    [InlineData("é ä 漢 \u2028 <&'+>", "\"é ä 漢 \u2028 <&'+>\"")]
    [InlineData("\"\\/", "\"\\\"\\\\/\"")]
    [InlineData("\n\r\t\b\f\0\u001f\u007f", "\"\\n\\r\\t\\b\\f\\u0000\\u001F\u007f\"")]
    public void Text_is_written_in_raw_UTF_8_with_the_escapes_that_JSON_requires(string text, string json)
    {
        var written = JsonSerializer.SerializeToUtf8Bytes(text, WireJson.Options);

        Encoding.UTF8.GetString(written).ShouldBe(json);
        JsonSerializer.Deserialize<string>(written).ShouldBe(text);
    }

    private static bool IsJson(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text.TrimStart('\uFEFF'));
            return document.RootElement.ValueKind is JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string Problem(byte[] body, string encoding = "") =>
        StringMembers.Read(new(body, encoding), Names).ShouldBeOfType<StringMembers.Illegal>().Problem;

    private static RequestBody.Whole Body(string text) => new(Encoding.UTF8.GetBytes(text), "");
}
