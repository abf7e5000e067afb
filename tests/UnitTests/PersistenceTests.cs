using CancelService.Application.Reading;
using CancelService.Infrastructure.Notifications;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Servers;
using CancelService.Infrastructure.Sql;
using Microsoft.Data.Sqlite;
using Npgsql;

namespace CancelService.UnitTests;

/// <summary>Goal: connections have safe defaults, and a refusal by the database is recognised as a lost race.</summary>
public sealed class PersistenceTests
{
    [Fact]
    public void A_connection_to_PostgreSQL_has_timeouts_and_prepares_repeated_statements()
    {
        var options = new DatabaseOptions
        {
            ConnectionString = "Host=db;Command Timeout=0;Timeout=0;No Reset On Close=false;Cancellation Timeout=9",
            Timeout = TimeSpan.FromSeconds(2.5),
        };

        var connection = options.Postgres();

        connection.Host.ShouldBe("db");
        connection.CommandTimeout.ShouldBe(3); // Rounded up to whole seconds, because 0 means no timeout.
        connection.Timeout.ShouldBe(3);
        connection.CancellationTimeout.ShouldBe(-1);
        connection.NoResetOnClose.ShouldBeTrue();
        connection.AutoPrepareMinUsages.ShouldBe(2);
        connection.MaxAutoPrepare.ShouldBe(100);
        connection.ApplicationName.ShouldBe("cancelservice");
    }

    /// <summary>Goal: with several hosts, connections fail over to the primary after one second a host.</summary>
    [Theory]
    [InlineData("Host=a,b", 1, "primary", 1)]
    [InlineData("Host=a,b;Target Session Attributes=any", 1, "any", 1)]
    [InlineData("Host=a,b;Host Recheck Seconds=7", 1, "primary", 7)]
    [InlineData("Host=a", 3, null, 10)]
    public void A_connection_with_several_hosts_looks_for_the_primary(
        string connectionString,
        int timeout,
        string? target,
        int recheckSeconds
    )
    {
        var connection = new DatabaseOptions { ConnectionString = connectionString }.Postgres();

        connection.Timeout.ShouldBe(timeout);
        connection.TargetSessionAttributes.ShouldBe(target);
        connection.HostRecheckSeconds.ShouldBe(recheckSeconds);
    }

    [Theory]
    [InlineData(DatabaseProvider.Postgres, -1, false)]
    [InlineData(DatabaseProvider.Postgres, 0, true)]
    [InlineData(DatabaseProvider.Postgres, 1, true)]
    [InlineData(DatabaseProvider.Postgres, 16, true)]
    [InlineData(DatabaseProvider.Postgres, 17, false)]
    [InlineData(DatabaseProvider.Sqlite, 0, true)]
    [InlineData(DatabaseProvider.Sqlite, 1, false)]
    public void A_configuration_has_up_to_16_standbys_and_on_PostgreSQL_only(
        DatabaseProvider provider,
        int standbys,
        bool possible
    )
    {
        var problem = new DatabaseOptions
        {
            Provider = provider,
            SynchronousStandbys = standbys,
            ConnectionString = provider is DatabaseProvider.Postgres ? "Host=a" : "Data Source=a.db",
        }.Problem();

        if (possible)
            problem.ShouldBeNull();
        else
            problem.ShouldNotBeNull().ShouldContain($"Database:SynchronousStandbys is {standbys}.");
    }

    [Fact]
    public void The_connection_string_overrides_our_defaults()
    {
        var options = new DatabaseOptions
        {
            ConnectionString = "Host=db;Max Auto Prepare=0;Application Name=mine;Maximum Pool Size=7",
            Timeout = TimeSpan.FromMilliseconds(100),
        };

        var connection = options.Postgres();

        connection.MaxAutoPrepare.ShouldBe(0);
        connection.ApplicationName.ShouldBe("mine");
        connection.MaxPoolSize.ShouldBe(7);
        connection.CommandTimeout.ShouldBe(1);
    }

    [Fact]
    public void A_connection_to_SQLite_has_a_timeout_and_checks_foreign_keys()
    {
        var connection = new DatabaseOptions { Timeout = TimeSpan.FromSeconds(2.5) }.Sqlite();

        connection.DataSource.ShouldBe("data/cancelservice.db");
        connection.DefaultTimeout.ShouldBe(3);
        connection.ForeignKeys.ShouldBe(true);
        new DatabaseOptions { ConnectionString = "Data Source=a.db;Foreign Keys=false" }
            .Sqlite()
            .ToString()
            .ShouldBe("Data Source=a.db;Foreign Keys=True;Default Timeout=3");
    }

    [Theory]
    [InlineData("40001", null, true)]
    [InlineData("40P01", null, true)]
    [InlineData("23505", "pk_payment_history", true)]
    [InlineData("23505", "pk_outbox", false)]
    [InlineData("23505", null, false)]
    [InlineData("23514", "ck_accounts_balance_not_negative", true)]
    [InlineData("23514", "ck_accounts_balance_limit", true)]
    [InlineData("23514", "ck_payments_fence", true)]
    [InlineData("23514", "ck_payments_refunded", false)]
    [InlineData("23503", "fk_payments_clients_client_id", true)]
    [InlineData("23503", "fk_payment_history_payments_client_id_payment_id", false)]
    [InlineData("23503", null, false)]
    [InlineData("23502", null, false)]
    [InlineData("55P03", null, false)]
    public void A_violation_on_PostgreSQL_is_a_lost_race_when_its_constraint_decides_races(
        string state,
        string? constraint,
        bool isRace
    ) =>
        Arbiters
            .Refused(new PostgresException("refused", "ERROR", "ERROR", state, constraintName: constraint))
            .ShouldBe(isRace);

    /// <summary>
    /// Goal: constraints are recognised on Citus, which names them in the message alone, with the shard's number.
    /// </summary>
    [Theory]
    [InlineData("23505", "duplicate key value violates unique constraint \"pk_payments_102040\"", true)]
    [InlineData("23505", "doppelter Schlüsselwert verletzt Unique-Constraint »pk_payment_history_1«", true)]
    [InlineData("23505", "duplicate key value violates unique constraint \"pk_outbox_102040\"", false)]
    [InlineData("23505", "duplicate key value violates unique constraint \"xpk_payments_102040\"", false)]
    [InlineData("23505", "duplicate key value violates unique constraint \"pk_payments_more_102040\"", false)]
    [InlineData(
        "23514",
        "new row for relation \"accounts_1\" violates check constraint \"ck_accounts_balance_not_negative\"",
        true
    )]
    [InlineData(
        "23503",
        "insert or update on table \"payments_7\" violates foreign key constraint \"fk_payments_clients_client_id_7\"",
        true
    )]
    [InlineData("23503", "insert or update on table \"x_7\" violates foreign key constraint \"fk_x_7\"", false)]
    public void A_violation_on_Citus_is_a_lost_race_when_its_message_names_such_a_constraint(
        string state,
        string text,
        bool isRace
    ) => Arbiters.Refused(new PostgresException(text, "ERROR", "ERROR", state)).ShouldBe(isRace);

    /// <summary>
    /// Goal: on a distributed database a relay misses no client of its own instance, within bounded memory.
    /// </summary>
    [Fact]
    public void A_client_is_due_at_its_earliest_noted_time_and_taken_once()
    {
        var now = new DateTimeOffset(2026, 11, 25, 3, 0, 0, TimeSpan.Zero);
        var due = new DueClients(() => new CitusCluster());
        due.Note(new("LATER"), now.AddSeconds(1));
        due.Note(new("SECOND"), now);
        due.Note(new("FIRST"), now.AddSeconds(2));
        due.Note(new("FIRST"), now.AddSeconds(-1));
        due.Note(new("FIRST"), now.AddSeconds(3));

        due.Take(now, 10).ShouldBe([new("FIRST"), new("SECOND")]);
        due.Take(now, 10).ShouldBeEmpty();
        due.Take(now.AddSeconds(1), 10).ShouldBe([new("LATER")]);

        for (var i = 0; i <= DueClients.Max; i++)
            due.Note(new($"C{i}"), now);
        due.Take(now, 1).Count.ShouldBe(1);
        due.Take(now, int.MaxValue).Count.ShouldBe(DueClients.Max - 1);
    }

    [Fact]
    public void Single_server_tracks_no_due_clients()
    {
        var now = new DateTimeOffset(2026, 11, 25, 3, 0, 0, TimeSpan.Zero);
        var due = new DueClients(() => SingleServer.Instance);
        due.Note(new("C"), now);

        due.Take(now, 10).ShouldBeEmpty();
    }

    [Theory]
    [InlineData(1555, "UNIQUE constraint failed: payments.client_id, payments.payment_id'", true)]
    [InlineData(
        2067,
        "UNIQUE constraint failed: payment_requests.client_id, payment_requests.payment_request_id'",
        true
    )]
    [InlineData(2067, "UNIQUE constraint failed: outbox.client_id, outbox.payment_id'", false)]
    [InlineData(1555, "UNIQUE constraint failed: payments.client_id, payments.payment_id, payments.more'", false)]
    [InlineData(275, "CHECK constraint failed: ck_accounts_balance_not_negative'", true)]
    [InlineData(275, "CHECK constraint failed: ck_payments_refunded'", false)]
    [InlineData(787, "FOREIGN KEY constraint failed'", true)]
    [InlineData(1299, "NOT NULL constraint failed: payments.kind'", false)]
    public void A_violation_on_SQLite_is_a_lost_race_when_its_constraint_decides_races(
        int code,
        string message,
        bool isRace
    ) => Arbiters.Refused(new SqliteException($"SQLite Error 19: '{message}.", 19, code)).ShouldBe(isRace);

    [Theory]
    [InlineData("00:01:00", 1, null)]
    [InlineData("30.00:00:00", 10_000, null)]
    [InlineData("00:00:59.9999999", 1, "UnknownPayments:RememberFor")]
    [InlineData("30.00:00:00.0000001", 1, "UnknownPayments:RememberFor")]
    [InlineData("1.00:00:00", 0, "UnknownPayments:MaxPerClient")]
    [InlineData("1.00:00:00", 10_001, "UnknownPayments:MaxPerClient")]
    public void Settings_of_unknown_payments_are_refused_out_of_bounds(
        string rememberFor,
        int maxPerClient,
        string? wrong
    )
    {
        var problem = new UnknownPaymentsOptions
        {
            RememberFor = TimeSpan.Parse(rememberFor, System.Globalization.CultureInfo.InvariantCulture),
            MaxPerClient = maxPerClient,
        }.Problem();

        if (wrong is null)
            problem.ShouldBeNull();
        else
            problem.ShouldNotBeNull().ShouldStartWith($"{wrong} is ");
    }

    [Fact]
    public void A_page_has_a_cursor_when_more_rows_follow()
    {
        var full = Page.Of([1, 2, 3], 2, item => $"{item}");
        full.Items.ShouldBe([1, 2]);
        full.Next.ShouldBe("2");

        var last = Page.Of([1, 2], 2, item => $"{item}");
        last.Items.ShouldBe([1, 2]);
        last.Next.ShouldBeNull();
    }
}
