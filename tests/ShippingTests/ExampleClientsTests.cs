using CancelService.ShippingTests.Fixtures;

namespace CancelService.ShippingTests;

/// <summary>
/// Goal: no example client accepts a forged or truncated answer, or gives up before the answer is final. Each client
/// runs every script of the table.
/// </summary>
public sealed class ExampleClientsTests
{
    // Each row: the answers in order, and the code that the client must print. The false answers come first and mostly
    // say SUCCESS, the true answer comes last: a client that accepts a false answer prints the wrong code.
    private static readonly (string[] Answers, string Code)[] Scripts =
    [
        (["S"], "SUCCESS"),
        (["F INVALID_API"], "INVALID_API"),
        (["F METHOD_NOT_SUPPORTED"], "METHOD_NOT_SUPPORTED"),
        (["F MEDIA_TYPE_NOT_ACCEPTABLE"], "MEDIA_TYPE_NOT_ACCEPTABLE"),
        (["F PARAM_ILLEGAL"], "PARAM_ILLEGAL"),
        (["F CLIENT_INVALID"], "CLIENT_INVALID"),
        (["F KEY_NOT_FOUND"], "KEY_NOT_FOUND"),
        (["F INVALID_SIGNATURE"], "INVALID_SIGNATURE"),
        (["F REQUEST_TRAFFIC_EXCEED_LIMIT"], "REQUEST_TRAFFIC_EXCEED_LIMIT"),
        (["F ACCESS_DENIED"], "ACCESS_DENIED"),
        (["F ORDER_NOT_EXIST"], "ORDER_NOT_EXIST"),
        (["F CANCEL_WINDOW_EXCEED"], "CANCEL_WINDOW_EXCEED"),
        (["F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["F MERCHANT_BALANCE_NOT_ENOUGH"], "MERCHANT_BALANCE_NOT_ENOUGH"),
        (["U", "U", "U", "U", "U", "S"], "SUCCESS"),
        (["U", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["plain 503 Service Unavailable", "U", "S"], "SUCCESS"),
        (["html 502 Bad Gateway", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["html 200 OK", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["plain 200 OK", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["plain 204 No Content", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["status 500 Internal Server Error", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["redirect 302 Found", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["redirect 307 Temporary Redirect", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["body {\"result\":{\"resultCode\":\"SUCCESS\",\"resultStatus\":\"S\"}}", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["time", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["path", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["client SHOP_2", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["client ", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["unsigned", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["header algorithm=RSA256,keyVersion=1,signature=", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["header algorithm=RSA256,keyVersion=1,signature=%%%", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["header algorithm=RSA256,keyVersion=1,signature=AAAA", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["header nonsense", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["algorithm", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["key", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["SHA-1", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["other", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["nobody", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["signed-body []", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["signed-body {}", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["signed-body S", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (
            ["signed-body {\"result\":{\"resultCode\":\"SUCCESS\",\"resultStatus\":\"P\"}}", "F PROCESS_FAIL"],
            "PROCESS_FAIL"
        ),
        (["cut body", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["cut head", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["chunked", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["garbage", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["reset", "F PROCESS_FAIL"], "PROCESS_FAIL"),
        (["nothing", "F PROCESS_FAIL"], "PROCESS_FAIL"),
    ];

    // Each example with its interpreter. Developers' machines skip missing languages; CI runs all but two, whose
    // installation would take longer than all the other tests.
    private static readonly (string File, string Program, string[] Arguments)[] Clients =
    [
        ("cancel.sh", "bash", []),
        ("cancel.cs", "dotnet", ["run"]),
        ("cancel.mjs", "node", []),
        ("cancel.py", "python3", []),
        ("Cancel.java", "java", []),
        ("cancel.php", "php", []),
        ("cancel.go", "go", ["run"]),
    ];

    public static TheoryData<string> Files =>
        [
            .. Clients
                .Where(client =>
                    (IsCi && client.Program is not ("php" or "go"))
                    || Command.IsThere(client.Program).GetAwaiter().GetResult()
                )
                .Select(client => client.File),
        ];

    private static bool IsCi => Environment.GetEnvironmentVariable("CI") == "true";

    [Theory]
    [MemberData(nameof(Files))]
    public async Task Client_trusts_only_signed_answers_and_repeats_until_the_answer_is_final(string file)
    {
        var (_, program, arguments) = Clients.Single(client => client.File == file);
        var payments = Scripts.Select((script, i) => ($"pay-{i:00}", script)).ToArray();
        using var wallet = new ScriptedWallet(
            payments.ToDictionary(p => p.Item1, p => p.script.Answers, StringComparer.Ordinal)
        );
        var folder = Directory.CreateTempSubdirectory("cancelservice-");
        try
        {
            var environment = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["URL"] = wallet.Url,
                ["CLIENT_ID"] = ScriptedWallet.ClientId,
                ["KEY_VERSION"] = "7",
                ["MERCHANT_KEY"] = await Write("merchant.pem", wallet.MerchantKey),
                ["WALLET_KEY"] = await Write("wallet.pem", wallet.WalletKey),
                ["BACKOFF_MS"] = "1",
                ["TIMEOUT_MS"] = "2000",
            };

            var ended = await Command.Try(
                program,
                [.. arguments, file, .. payments.Select(p => p.Item1)],
                environment,
                Path.Combine(Repository.Root, "docs/examples/clients")
            );

            ended
                .Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .ShouldBe(payments.Select(p => $"{p.Item1} {p.script.Code}"), ended.Error);
            ended.Status.ShouldBe(1, "the client reports that not every payment is cancelled");
            wallet.Complaints.ShouldBeEmpty();
            // On a slow machine a client may repeat once more.
            foreach (var (payment, script) in payments)
                wallet.Asked(payment).ShouldBeGreaterThanOrEqualTo(script.Answers.Length, payment);
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        async Task<string> Write(string name, string text)
        {
            var path = Path.Combine(folder.FullName, name);
            await File.WriteAllTextAsync(path, text, TestContext.Current.CancellationToken);
            return path;
        }
    }

    [Fact]
    public void Every_client_is_tested() =>
        Directory
            .EnumerateFiles(Path.Combine(Repository.Root, "docs/examples/clients"))
            .Select(Path.GetFileName)
            .ShouldBe(Clients.Select(client => client.File), ignoreOrder: true);

    [Fact]
    public void Client_has_fewer_than_80_lines_besides_comments_and_imports()
    {
        string[] others = ["//", "#", "import ", "using System", "\""]; // Go's import paths are quoted lines.
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs/examples/clients")))
            File.ReadLines(file)
                .Select(line => line.Trim())
                .Count(line =>
                    line.Length > 0 && !others.Any(other => line.StartsWith(other, StringComparison.Ordinal))
                )
                .ShouldBeLessThan(80, file);
    }
}
