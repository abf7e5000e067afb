using System.Diagnostics;
using System.Security.Claims;
using CancelService.Application.Accounts;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using MediatR;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CancelService.Api.Internal;

/// <summary>A deposit or a payout.</summary>
/// <param name="Id">
/// The operator's identifier, 1 to 64 letters, digits, '_', '-' or '.'; it makes the transfer idempotent.
/// </param>
/// <param name="MinorUnits">The amount in minor units of the account's currency, 1 to 10^15.</param>
public sealed record TransferBody(string? Id, long? MinorUnits);

/// <summary>Endpoints for merchants' accounts.</summary>
public static class AccountsApi
{
    /// <summary>Maps the endpoints under <c>/internal/v1</c>.</summary>
    public static void MapAccounts(this RouteGroupBuilder internalApi)
    {
        var account = internalApi.MapGroup("/clients/{clientId}/accounts/{currency}").WithTags("Accounts");
        account.MapGet("/", GetAccount).RequireAuthorization(Scopes.ClientsRead);
        var client = internalApi.MapGroup("/clients/{clientId}").WithTags("Accounts");
        client.MapGet("/accounts", ListAccounts).RequireAuthorization(Scopes.ClientsRead);
        client.MapGet("/transfers/{id}", GetTransfer).RequireAuthorization(Scopes.ClientsRead);
        account.MapPost("/deposits", Deposit).RequireAuthorization(Scopes.AccountsWrite);
        account.MapPost("/payouts", PayOut).RequireAuthorization(Scopes.AccountsWrite);
    }

    /// <summary>Lists a client's balances, one for each currency. An unknown client has an empty list.</summary>
    public static async Task<Ok<Page<BalanceView>>> ListAccounts(
        string clientId,
        IAccountQueries queries,
        CancellationToken cancellationToken
    )
    {
        var accounts = ClientId.IsWellFormed(clientId)
            ? await queries.Accounts(new ClientId(clientId), cancellationToken)
            : [];
        return TypedResults.Ok(new Page<BalanceView>(accounts, null));
    }

    /// <summary>Finds a deposit or payout by the id with which it was posted.</summary>
    public static async Task<Results<Ok<TransferView>, ProblemHttpResult>> GetTransfer(
        string clientId,
        string id,
        IAccounts accounts,
        CancellationToken cancellationToken
    ) =>
        ClientId.IsWellFormed(clientId)
        && Identifier.IsWellFormed(id)
        && await accounts.FindTransfer(new ClientId(clientId), id, cancellationToken) is { } transfer
            ? TypedResults.Ok(View(transfer))
            : Problems.NotFound("transfer");

    /// <summary>Reads a merchant's balance in a currency, and a page of its transfers, oldest first.</summary>
    public static async Task<Results<Ok<AccountView>, ProblemHttpResult>> GetAccount(
        string clientId,
        string currency,
        Guid? after,
        int? limit,
        IAccountQueries queries,
        CancellationToken cancellationToken
    )
    {
        if (Paging.Size(limit) is not { } size)
            return Paging.BadLimit();
        return
            ClientId.IsWellFormed(clientId)
            && Currency.IsWellFormed(currency)
            && await queries.Account(new ClientId(clientId), new Currency(currency), after, size, cancellationToken)
                is { } account
            ? TypedResults.Ok(account)
            : Problems.NotFound("account");
    }

    /// <summary>Credits the merchant's account. Idempotent by id: 201 first, 200 for repeats.</summary>
    public static Task<Results<Created<TransferView>, Ok<TransferView>, ProblemHttpResult>> Deposit(
        string clientId,
        string currency,
        TransferBody body,
        [AsParameters] Reason reason,
        ClaimsPrincipal caller,
        ILoggerFactory logs,
        IMediator mediator,
        CancellationToken cancellationToken
    ) => Post(clientId, currency, TransferKind.Deposit, body, reason, caller, logs, mediator, cancellationToken);

    /// <summary>
    /// Debits the merchant's account if its balance covers the amount. Idempotent by id: 201 first, 200 for repeats.
    /// </summary>
    public static Task<Results<Created<TransferView>, Ok<TransferView>, ProblemHttpResult>> PayOut(
        string clientId,
        string currency,
        TransferBody body,
        [AsParameters] Reason reason,
        ClaimsPrincipal caller,
        ILoggerFactory logs,
        IMediator mediator,
        CancellationToken cancellationToken
    ) => Post(clientId, currency, TransferKind.Payout, body, reason, caller, logs, mediator, cancellationToken);

    private static async Task<Results<Created<TransferView>, Ok<TransferView>, ProblemHttpResult>> Post(
        string clientId,
        string currency,
        TransferKind kind,
        TransferBody body,
        Reason reason,
        ClaimsPrincipal caller,
        ILoggerFactory logs,
        IMediator mediator,
        CancellationToken cancellationToken
    )
    {
        if (reason.Mistake(isRequired: true) is { } mistake)
            return Problems.Invalid(mistake);
        var result = await mediator.Send(
            new PostTransferCommand(
                clientId,
                currency,
                kind,
                body.Id,
                body.MinorUnits,
                caller.Actor(),
                reason.Text ?? ""
            ),
            cancellationToken
        );
        if (result is PostTransferResult.Posted { Transfer.Reference: var id })
            logs.CreateLogger(typeof(AccountsApi))
                .Changed(caller.Actor(), ChangeKind.Transfer, id, clientId, reason.Text ?? "");
        return result switch
        {
            PostTransferResult.Posted posted => TypedResults.Created((string?)null, View(posted.Transfer)),
            PostTransferResult.Known known => TypedResults.Ok(View(known.Transfer)),
            PostTransferResult.Malformed malformed => Problems.Invalid(malformed.Message),
            PostTransferResult.ClientNotFound => Problems.NotFound("client"),
            PostTransferResult.TransferDiffers => Problems.TransferDiffers(),
            PostTransferResult.BalanceNotEnough => Problems.BalanceNotEnough(),
            PostTransferResult.BalanceLimit => Problems.BalanceLimit(),
            PostTransferResult.Unknown => Problems.OutcomeUnknown(),
            _ => throw new UnreachableException($"{result} has no status."),
        };
    }

    private static TransferView View(PostedTransfer posted) =>
        new(
            posted.Id,
            posted.Transfer.Debit,
            posted.Transfer.Credit,
            MoneyView.Of(posted.Transfer.Amount),
            posted.At,
            PaymentId: null,
            PaymentVersion: null,
            posted.Reference
        );
}
