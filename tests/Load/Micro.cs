using System.Security.Cryptography;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Harness;
using CancelService.Infrastructure.Signing;
using CancelService.Protocol;

namespace CancelService.Load;

/// <summary>Benchmarks of the parts of a cancel that need no database.</summary>
[MemoryDiagnoser]
public class Micro
{
    private const string Header =
        "algorithm=RSA256, keyVersion=1, signature=KEhXthj4bJ801Hqw8kaLvEKc0Rii8KsNUazw7kZgjxyGSPuOZ48058UVJUkkR21iD9JkHBGR";

    private static readonly byte[] Body = """{"paymentId":"pay-1","extendInfo":"{\"order\":\"17\"}"}"""u8.ToArray();
    private static readonly DateTimeOffset Now = new(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);

    private readonly byte[] _hash = SHA256.HashData("what is signed"u8);
    private readonly Client _client = new()
    {
        Id = new ClientId("client-1"),
        Name = "A measured client",
        Enabled = true,
        Contract = new Contract(),
        Keys = [],
    };
    private byte[] _signature = [];
    private WalletKey _wallet = null!;

    /// <summary>Runs every benchmark in this process and prints its table.</summary>
    public static void Run() =>
        BenchmarkRunner.Run<Micro>(
            DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance))
        );

    [GlobalSetup]
    public void Prepare()
    {
        _signature = KeyPair.Wallet.Signer().SignHash(_hash, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var file = Path.GetTempFileName();
        File.WriteAllText(file, KeyPair.Wallet.PrivatePem);
        _wallet = WalletKey.Load(file, 1);
        File.Delete(file);
    }

    [Benchmark]
    public bool Verify() => KeyPair.Wallet.PublicKey.Verifies(_hash, _signature);

    [Benchmark]
    public string Sign() => _wallet.Sign(_hash);

    [Benchmark]
    public byte[] Hash() =>
        SignatureScheme.Hash("POST", "/v2/payments/cancel", "client-1", "2026-11-23T12:00:00Z", Body);

    [Benchmark]
    public bool ParseSignatureHeader() => SignatureHeader.TryParse(Header, out _);

    [Benchmark]
    public object ParseRequestTime() => RequestTime.Read("2026-11-23T12:00:00.123+08:00");

    [Benchmark]
    public object ParseBody() => StringMembers.Read(new(Body, ""), ["paymentId", "paymentRequestId", "extendInfo"]);

    [Benchmark]
    public object Decide()
    {
        var (payment, _) = Payment.Register(
            _client.Id,
            new PaymentId("pay-1"),
            new PaymentRequestId("req-1"),
            PaymentKind.Payment,
            new Money(1000, new Currency("USD")),
            Now,
            Now
        );
        payment.Succeed(0, Now);
        return payment.Cancel(CancelWindow.Usual, available: 1000, Now);
    }
}
