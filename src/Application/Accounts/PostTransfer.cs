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
/// <param name="Id">The operator's identifier: repeated, the transfer is not posted again.</param>
/// <param name="MinorUnits">The amount, in minor units.</param>
/// <param name="Actor">Who calls.</param>
public sealed record PostTransferCommand(
    string ClientId,
    string? Currency,
    TransferKind Kind,
    string? Id,
    long? MinorUnits,
    string Actor
) : IRequest<PostTransferResult>;

/// <summary>How a transfer ended.</summary>
public enum TransferOutcome
{
    /// <summary>The command is malformed; the message says what is wrong.</summary>
    Invalid,

    /// <summary>There is no such client.</summary>
    ClientNotFound,

    /// <summary>The identifier is known with other content, which stays.</summary>
    TransferDiffers,

    /// <summary>The balance does not cover the payout.</summary>
    BalanceNotEnough,

    /// <summary>The balance would exceed <see cref="Money.MaxBalance"/>.</summary>
    BalanceLimit,

    /// <summary>Posted now.</summary>
    Posted,

    /// <summary>Posted earlier, with the same content.</summary>
    Known,

    /// <summary>It is not known whether the transfer is posted; repeating the command resolves it.</summary>
    Unknown,
}

/// <summary>The result of a <see cref="PostTransferCommand"/>.</summary>
/// <param name="Outcome">How the transfer ended.</param>
/// <param name="Transfer">The transfer, when it is posted or known.</param>
/// <param name="Message">With <see cref="TransferOutcome.Invalid"/>: what is wrong.</param>
public sealed record PostTransferResult(
    TransferOutcome Outcome,
    PostedTransfer? Transfer = null,
    string? Message = null
) : IValidated<PostTransferResult>
{
    /// <inheritdoc/>
    public static PostTransferResult Invalid(string message) => new(TransferOutcome.Invalid, Message: message);
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
            return new(TransferOutcome.ClientNotFound);

        var transfer = Transfer.Of(request.Kind, new Money(request.MinorUnits!.Value, new Currency(request.Currency!)));
        foreach (var _ in races.Attempts("transfer", clientId, request.Id!))
        {
            // The balance first: where the same transfer is posted between the two looks, it is found, and a balance that
            // it has changed itself is no reason to refuse it.
            var balance = await accounts.Balance(clientId, transfer.Amount.Currency, cancellationToken);
            if (await accounts.FindTransfer(clientId, request.Id!, cancellationToken) is { } known)
                return known.Transfer == transfer
                    ? new(TransferOutcome.Known, known)
                    : new(TransferOutcome.TransferDiffers);
            if (balance + transfer.Change < 0)
                return new(TransferOutcome.BalanceNotEnough);
            if (balance + transfer.Change > Money.MaxBalance)
                return new(TransferOutcome.BalanceLimit);

            var now = time.GetUtcNow();
            var posted = new PostedTransfer(
                Guid.CreateVersion7(now),
                clientId,
                request.Id!,
                transfer,
                request.Actor,
                now
            );
            if (await accounts.Post(posted, cancellationToken) is WriteResult.Written)
                return new(TransferOutcome.Posted, posted);
        }

        return new(TransferOutcome.Unknown);
    }
}
