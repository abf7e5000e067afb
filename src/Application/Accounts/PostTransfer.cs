using CancelService.Application.Clients;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using FluentValidation;
using MediatR;

namespace CancelService.Application.Accounts;

/// <summary>An operator posts a deposit or a payout.</summary>
/// <param name="ClientId">The client whose account it is.</param>
/// <param name="Currency">The account's currency, three letters (ISO 4217).</param>
/// <param name="Kind">Deposit or payout.</param>
/// <param name="Id">The operator's identifier, which makes the transfer idempotent.</param>
/// <param name="MinorUnits">The amount, in minor units.</param>
/// <param name="Actor">The subject of the caller's token.</param>
/// <param name="Reason">The caller's reason, for the record; empty when none was given.</param>
public sealed record PostTransferCommand(
    string ClientId,
    string? Currency,
    TransferKind Kind,
    string? Id,
    long? MinorUnits,
    string Actor,
    string Reason = ""
) : IRequest<PostTransferResult>;

/// <summary>The result of a <see cref="PostTransferCommand"/>: exactly one of eight.</summary>
public abstract record PostTransferResult : IValidated<PostTransferResult>
{
    private PostTransferResult() { }

    /// <summary>Posted now.</summary>
    public sealed record Posted(PostedTransfer Transfer) : PostTransferResult;

    /// <summary>Posted earlier, with the same content.</summary>
    public sealed record Known(PostedTransfer Transfer) : PostTransferResult;

    /// <summary>
    /// A member of the command is missing or malformed; the message names it and says what it must be.
    /// </summary>
    public sealed record Malformed(string Message) : PostTransferResult;

    /// <summary>No client has this identifier.</summary>
    public sealed record ClientNotFound : PostTransferResult;

    /// <summary>The identifier is known with other content, which stays.</summary>
    public sealed record TransferDiffers : PostTransferResult;

    /// <summary>The balance does not cover the payout.</summary>
    public sealed record BalanceNotEnough : PostTransferResult;

    /// <summary>The balance would exceed <see cref="Money.MaxBalance"/>.</summary>
    public sealed record BalanceLimit : PostTransferResult;

    /// <summary>It is not known whether the transfer is posted; repeating the command resolves it.</summary>
    public sealed record Unknown : PostTransferResult;

    /// <inheritdoc/>
    public static PostTransferResult Invalid(string message) => new Malformed(message);
}

/// <summary>The shape of a transfer.</summary>
public sealed class PostTransferValidator : AbstractValidator<PostTransferCommand>
{
    /// <summary>Sets the rules up.</summary>
    public PostTransferValidator()
    {
        ClassLevelCascadeMode = CascadeMode.Stop;
        RuleFor(c => c.ClientId).ClientId();
        RuleFor(c => c.Currency).Currency();
        RuleFor(c => c.Id).Id("id");
        RuleFor(c => c.MinorUnits).Amount();
    }
}

/// <summary>Posts a transfer once; the database keeps the balance within its bounds.</summary>
public sealed class PostTransferHandler(IAccounts accounts, IClients clients, Races races, TimeProvider time)
    : IRequestHandler<PostTransferCommand, PostTransferResult>
{
    /// <inheritdoc/>
    public async Task<PostTransferResult> Handle(PostTransferCommand request, CancellationToken cancellationToken)
    {
        var clientId = new ClientId(request.ClientId);
        if (await clients.Find(clientId, cancellationToken) is null)
            return new PostTransferResult.ClientNotFound();

        var transfer = Transfer.Of(request.Kind, new Money(request.MinorUnits!.Value, new Currency(request.Currency!)));
        foreach (var _ in races.Attempts("transfer", clientId, request.Id!))
        {
            // The order matters: a concurrent repeat may post the transfer between the two reads. The look-up then
            // finds the transfer, and the balance before it can't refuse it.
            var balance = await accounts.Balance(clientId, transfer.Amount.Currency, cancellationToken);
            if (await accounts.FindTransfer(clientId, request.Id!, cancellationToken) is { } known)
                return known.Transfer == transfer
                    ? new PostTransferResult.Known(known)
                    : new PostTransferResult.TransferDiffers();
            if (balance + transfer.Change < 0)
                return new PostTransferResult.BalanceNotEnough();
            if (balance + transfer.Change > Money.MaxBalance)
                return new PostTransferResult.BalanceLimit();

            var now = time.GetUtcNow();
            var posted = new PostedTransfer(
                Guid.CreateVersion7(now),
                clientId,
                request.Id!,
                transfer,
                request.Actor,
                now,
                request.Reason
            );
            if (await accounts.Post(posted, cancellationToken) is WriteResult.Written)
                return new PostTransferResult.Posted(posted);
        }

        return new PostTransferResult.Unknown();
    }
}
