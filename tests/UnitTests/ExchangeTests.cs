using CancelService.Api.Exchange;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Signing;
using CancelService.Infrastructure.Sql;
using CancelService.Protocol;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace CancelService.UnitTests;

/// <summary>Goal: an instance recognises an outage of the database, and signs equal answers once a second.</summary>
public sealed class ExchangeTests
{
    private static readonly IncomingRequest Request = new(
        new Envelope("POST", "/v2/payments/cancel", "CLIENT", "trace", "cancel"),
        new NoOperation(),
        "2026-03-10T12:00:00Z",
        new SignatureHeader(null, "7", "abc"),
        new RequestBody.TooLong()
    );

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 3, 10, 12, 0, 0, TimeSpan.Zero));
    private readonly List<string> _log = [];
    private readonly DatabaseWatch _watch;

    public ExchangeTests() => _watch = Watch(TimeSpan.FromSeconds(3));

    [Fact]
    public async Task A_connection_failure_counts_as_an_outage_until_the_next_answer_or_for_five_seconds()
    {
        _watch.IsAway.ShouldBeFalse();

        await Fail(new IOException("broken pipe"));
        _watch.IsAway.ShouldBeTrue();
        _watch.HasAnswered();
        _watch.IsAway.ShouldBeFalse();

        await Fail(new IOException("broken pipe"));
        _time.Advance(TimeSpan.FromSeconds(4.9));
        _watch.IsAway.ShouldBeTrue();
        _time.Advance(TimeSpan.FromSeconds(0.1));
        _watch.IsAway.ShouldBeFalse();
    }

    [Fact]
    public async Task A_bug_is_not_an_outage()
    {
        await Fail(new InvalidOperationException("a bug"));

        _watch.IsAway.ShouldBeFalse();
    }

    [Fact]
    public async Task A_database_is_away_after_a_second_of_silence_until_it_answers_any_request()
    {
        var answer = new TaskCompletionSource<string>();
        using var deadline = _watch.NewDeadline();
        var asked = _watch.Ask(deadline, Request, isVerified: true, _ => answer.Task);
        _time.Advance(TimeSpan.FromSeconds(1));
        _watch.IsAway.ShouldBeFalse();
        _time.Advance(TimeSpan.FromSeconds(0.1));
        _watch.IsAway.ShouldBeTrue();

        _watch.HasAnswered(); // Another request got an answer.
        _watch.IsAway.ShouldBeFalse();
        _time.Advance(TimeSpan.FromSeconds(1.1));
        _watch.IsAway.ShouldBeTrue();

        answer.SetResult("done");
        (await asked).ShouldBe(new Step<string>.Next("done"));
        _watch.IsAway.ShouldBeFalse(); // No request is waiting any more.
    }

    [Fact]
    public async Task A_failure_is_answered_U_and_logged_with_its_cause_and_key_version()
    {
        using var deadline = _watch.NewDeadline();
        var asked = await _watch.Ask<string>(deadline, Request, true, _ => throw new TimeoutException());

        asked.GoesOn(out _, out var reply).ShouldBeFalse();
        var answered = reply.ShouldBeOfType<Reply.Answered>();
        answered.IsVerified.ShouldBeTrue();
        answered.Answer.Code.ShouldBe(ResultCode.UnknownException);
        answered.Answer.Reason.ShouldBe("no answer from the database within 3 s");
        answered.Answer.KeyVersion.ShouldBe(7);
    }

    [Fact]
    public async Task The_deadline_of_a_request_starts_at_its_first_query_and_covers_all_of_them()
    {
        using var deadline = _watch.NewDeadline();
        var given = new List<CancellationToken>();
        for (var i = 0; i < 2; i++)
        {
            await _watch.Ask(
                deadline,
                Request,
                isVerified: true,
                token =>
                {
                    given.Add(token);
                    return Task.FromResult("done");
                }
            );
        }

        given[0].CanBeCanceled.ShouldBeTrue();
        given[1].ShouldBe(given[0]);
    }

    [Fact]
    public async Task A_query_that_ignores_its_cancellation_is_answered_U_at_the_deadline()
    {
        var watch = Watch(TimeSpan.FromMilliseconds(100));
        using var deadline = watch.NewDeadline();
        var deaf = new TaskCompletionSource<string>();

        var asked = watch.Ask(deadline, Request, isVerified: true, _ => deaf.Task);

        (
            await asked.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken)
        ).ShouldBeOfType<Step<string>.End>();
        watch.IsAway.ShouldBeTrue();
    }

    [Fact]
    public async Task A_cause_is_logged_every_ten_seconds_with_a_count_and_the_causes_in_memory_are_bounded()
    {
        await Fail(new IOException("first"));
        await Fail(new IOException("first"));
        _log.ShouldBe(["first. 0 more"]);
        _time.Advance(TimeSpan.FromSeconds(9.9));
        await Fail(new IOException("first"));
        _log.Count.ShouldBe(1);
        _time.Advance(TimeSpan.FromSeconds(0.1));
        await Fail(new IOException("first"));
        _log.ShouldBe(["first. 0 more", "first. 2 more"]);

        for (var i = 0; i < 1000; i++)
            await Fail(new IOException($"cause {i}"));
        _log.Clear();
        await Fail(new IOException("first")); // It was evicted, so it counts as new.
        _log.ShouldBe(["first. 0 more"]);
    }

    [Fact]
    public void Answers_share_a_signature_only_when_the_signed_text_is_equal_and_within_one_second()
    {
        var signer = Signer();
        var envelope = Request.Envelope;
        var refusal = Answer.Of(ResultCode.OrderNotExist);
        var first = signer.Prepare(envelope, refusal);
        var signature = signer.Sign(first);

        _time.Advance(TimeSpan.FromSeconds(0.999));
        signer.TryFind(signer.Prepare(envelope, refusal), out var shared).ShouldBeTrue();
        shared.ShouldBe(signature);
        SigningInput[] others =
        [
            signer.Prepare(envelope with { Method = "PUT" }, refusal),
            signer.Prepare(envelope with { Path = "/v2/payments/cancel?" }, refusal),
            signer.Prepare(envelope with { ClientId = "" }, refusal),
            signer.Prepare(envelope, refusal with { Body = [.. refusal.Body, (byte)' '] }),
            signer.Prepare(envelope, refusal with { IsFinal = true }), // Its time has milliseconds.
        ];
        others.ShouldAllBe(seal => !signer.TryFind(seal, out shared));

        _time.Advance(TimeSpan.FromSeconds(0.001));
        signer.TryFind(signer.Prepare(envelope, refusal), out _).ShouldBeFalse();
        signer.TryFind(first, out _).ShouldBeFalse();
    }

    [Fact]
    public void The_cache_of_signatures_is_bounded()
    {
        var signer = Signer();
        var refusal = Answer.Of(ResultCode.InvalidApi);
        var seals = Enumerable
            .Range(0, AnswerSigner.MaxShared + 10)
            .Select(i => signer.Prepare(Request.Envelope with { Path = $"/{i}" }, refusal))
            .ToList();
        foreach (var seal in seals)
            signer.Sign(seal).ShouldStartWith("algorithm=RSA256,keyVersion=1,signature=");

        seals.Count(seal => signer.TryFind(seal, out _)).ShouldBe(AnswerSigner.MaxShared);
    }

    private DatabaseWatch Watch(TimeSpan timeout) =>
        new(Options.Create(new DatabaseOptions { Timeout = timeout }), _time, new ExchangeLog(_time, new Causes(_log)));

    private async Task Fail(Exception failure)
    {
        using var deadline = _watch.NewDeadline();
        (await _watch.Ask<string>(deadline, Request, true, _ => throw failure)).ShouldBeOfType<Step<string>.End>();
    }

    private AnswerSigner Signer()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        File.WriteAllText(path, Given.KeyPair.ExportPkcs8PrivateKeyPem());
        try
        {
            return new(WalletKey.Load(path, 1), Options.Create(new WalletOptions()), _time);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Records the failure's text and the count of suppressed repeats of each log line.</summary>
    private sealed class Causes(List<string> lines) : ILogger<ExchangeLog>
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        )
        {
            var text = formatter(state, exception);
            lines.Add(
                text[
                    (text.LastIndexOf(": ", StringComparison.Ordinal) + 2)..text.IndexOf(
                        " since",
                        StringComparison.Ordinal
                    )
                ]
            );
        }
    }

    private sealed class NoOperation : IOperation
    {
        public string Name => "none";

        public string Path => "/v2/payments/cancel";

        public IReadOnlyList<ResultCode> Order => [];

        public IReadOnlyList<string> Members => [];

        public OperationDescription Description => throw new NotSupportedException();

        public string Problem(IReadOnlyList<string?> values) => "";

        public RequestRate RateOf(Contract contract) => new(1, 1);

        public Answer Conclude(Answer answer, VerifiedRequest request) => answer;

        public Task<Answer> Execute(VerifiedRequest request, CancellationToken cancellationToken) =>
            throw new NotSupportedException();
    }
}
