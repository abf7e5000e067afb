using CancelService.Application.Accounts;
using CancelService.Application.Cancelling;
using CancelService.Application.Clients;
using CancelService.Application.Inquiring;
using CancelService.Application.Payments;
using CancelService.Application.Reading;
using CancelService.Infrastructure.Changes;
using CancelService.Infrastructure.Clients;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Notifications;
using CancelService.Infrastructure.Operators;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Restoring;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace CancelService.Infrastructure;

/// <summary>Registers the implementations of the application's ports.</summary>
public static class InfrastructureServices
{
    /// <summary>
    /// Adds the database, the ports that it implements, and the relay. The host provides the options.
    /// </summary>
    public static IServiceCollection AddInfrastructure(this IServiceCollection services) =>
        services
            .AddSingleton<Database>()
            .AddSingleton<LedgerAudit>()
            .AddSingleton<Restores>()
            .AddTransient<LostAnswers>()
            .AddSingleton(provider => new GroupCommit(
                provider.GetRequiredService<Database>().Write,
                () => Task.Delay(GroupCommit.Patience)
            ))
            .AddSingleton<IPayments, PaymentStore>()
            .AddSingleton<IInquiries, Inquiries>()
            .AddSingleton<IAccounts, AccountStore>()
            .AddSingleton<RefusedCancels>()
            .AddSingleton<IRefusedCancels>(provider => provider.GetRequiredService<RefusedCancels>())
            .AddHostedService(provider => provider.GetRequiredService<RefusedCancels>())
            .AddSingleton<StoredClients>()
            .AddSingleton(provider => new ClientCache(
                provider.GetRequiredService<StoredClients>().Load,
                provider.GetRequiredService<IOptions<ClientsOptions>>(),
                provider.GetRequiredService<TimeProvider>()
            ))
            .AddSingleton<IClients>(provider => provider.GetRequiredService<ClientCache>())
            .AddSingleton<IClientRegistry, ClientRegistry>()
            .AddSingleton<IPaymentQueries, PaymentQueries>()
            .AddSingleton<IAccountQueries, AccountQueries>()
            .AddSingleton<IClientQueries, ClientQueries>()
            .AddSingleton<IChangeQueries, ChangeQueries>()
            .AddSingleton<IFeeds, Feeds>()
            .AddSingleton<OperatorSessions>()
            .AddSingleton<ProtectionKeys>()
            .AddHostedService<KeyMetrics>()
            .AddRelay();
}
