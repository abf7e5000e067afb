namespace CancelService.Api.Exchange;

/// <summary>Registers the exchange of the public port.</summary>
public static class PublicServices
{
    /// <summary>Adds the exchange; each operation is added beside it, as an <see cref="IOperation"/>.</summary>
    public static IServiceCollection AddPublicApi(this IServiceCollection services) =>
        services
            .AddSingleton<ExchangeLog>()
            .AddSingleton<DatabaseWatch>()
            .AddSingleton<RequestReader>()
            .AddSingleton<Admission>()
            .AddSingleton<AnswerSigner>()
            .AddSingleton<SignedExchange>();
}
