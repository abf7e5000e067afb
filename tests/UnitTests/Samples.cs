using CsCheck;

namespace CancelService;

/// <summary>
/// Stands in for CsCheck's Sample and SampleAsync, whose seed fixes the first iteration only: these draw all iterations
/// from CANCELSERVICE_SEED. They win over CsCheck's because their namespace encloses that of every test.
/// </summary>
internal static class Samples
{
    // Another stream than CsCheck's own, which depends on the threads.
    private const uint Stream = 17;
    private const int Shrinking = 10_000;

    public static void Sample<T>(this Gen<T> gen, Action<T> assert, long iter = 100)
    {
        var random = Start();
        for (var i = 0; i < iter; i++)
        {
            var state = random.State;
            var value = gen.Generate(random, null, out _);
            try
            {
                assert(value);
            }
            catch
            {
                // Looks for a smaller case, and fails with it and with the seed that repeats it.
                Check.Sample(gen, assert, seed: random.ToString(state), iter: Shrinking);
                throw;
            }
        }
    }

    public static async Task SampleAsync<T>(this Gen<T> gen, Func<T, Task> assert, long iter = 100)
    {
        var random = Start();
        for (var i = 0; i < iter; i++)
        {
            var state = random.State;
            var value = gen.Generate(random, null, out _);
            try
            {
                await assert(value);
            }
            catch
            {
                await Check.SampleAsync(gen, assert, seed: random.ToString(state), iter: 1, threads: 1);
                throw;
            }
        }
    }

    public static void Sample<T>(this Gen<T> gen, Func<T, bool> holds, long iter = 100) =>
        gen.Sample(
            value =>
            {
                if (!holds(value))
                    throw new CsCheckException("The property does not hold.");
            },
            iter
        );

    public static void Sample<T1, T2>(this Gen<(T1, T2)> gen, Func<T1, T2, bool> holds, long iter = 100) =>
        gen.Sample(v => holds(v.Item1, v.Item2), iter);

    public static void Sample<T1, T2, T3>(this Gen<(T1, T2, T3)> gen, Action<T1, T2, T3> assert, long iter = 100) =>
        gen.Sample(v => assert(v.Item1, v.Item2, v.Item3), iter);

    public static void Sample<T1, T2, T3>(this Gen<(T1, T2, T3)> gen, Func<T1, T2, T3, bool> holds, long iter = 100) =>
        gen.Sample(v => holds(v.Item1, v.Item2, v.Item3), iter);

    public static void Sample<T1, T2, T3, T4>(
        this Gen<(T1, T2, T3, T4)> gen,
        Func<T1, T2, T3, T4, bool> holds,
        long iter = 100
    ) => gen.Sample(v => holds(v.Item1, v.Item2, v.Item3, v.Item4), iter);

    public static void Sample<T1, T2, T3, T4, T5>(
        this Gen<(T1, T2, T3, T4, T5)> gen,
        Func<T1, T2, T3, T4, T5, bool> holds,
        long iter = 100
    ) => gen.Sample(v => holds(v.Item1, v.Item2, v.Item3, v.Item4, v.Item5), iter);

    private static PCG Start() => new(Stream, (ulong)Seeds.Common);
}
