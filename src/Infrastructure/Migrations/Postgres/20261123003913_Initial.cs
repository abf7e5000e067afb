using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace CancelService.Infrastructure.Migrations.Postgres
{
    /// <inheritdoc />
    public partial class Initial : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "clients",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    name = table.Column<string>(type: "character varying(256)", maxLength: 256, nullable: false),
                    enabled = table.Column<bool>(type: "boolean", nullable: false),
                    contract_burst = table.Column<int>(type: "integer", nullable: false),
                    contract_may_cancel = table.Column<bool>(type: "boolean", nullable: false),
                    contract_remember_unknown = table.Column<bool>(type: "boolean", nullable: false),
                    contract_requests_per_second = table.Column<int>(type: "integer", nullable: false),
                    contract_window = table.Column<string>(
                        type: "character varying(64)",
                        maxLength: 64,
                        nullable: false
                    ),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_clients", x => x.client_id);
                }
            );

            migrationBuilder.CreateTable(
                name: "transfers",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    transfer_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    kind = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                    transaction_id = table.Column<Guid>(type: "uuid", nullable: false),
                    actor = table.Column<string>(type: "character varying(256)", maxLength: 256, nullable: false),
                    at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    amount_currency = table.Column<string>(type: "character varying(3)", maxLength: 3, nullable: false),
                    amount_minor_units = table.Column<long>(type: "bigint", nullable: false),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_transfers", x => new { x.client_id, x.transfer_id });
                    table.CheckConstraint("ck_transfers_kind", "kind IN ('DEPOSIT', 'PAYOUT')");
                }
            );

            migrationBuilder.CreateTable(
                name: "accounts",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    currency = table.Column<string>(type: "character varying(3)", maxLength: 3, nullable: false),
                    balance = table.Column<long>(type: "bigint", nullable: false),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_accounts", x => new { x.client_id, x.currency });
                    table.CheckConstraint("ck_accounts_balance_not_negative", "balance >= 0");
                    table.ForeignKey(
                        name: "fk_accounts_clients_client_id",
                        column: x => x.client_id,
                        principalTable: "clients",
                        principalColumn: "client_id",
                        onDelete: ReferentialAction.Restrict
                    );
                }
            );

            migrationBuilder.CreateTable(
                name: "client_keys",
                columns: table => new
                {
                    version = table.Column<int>(type: "integer", nullable: false),
                    client_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    public_key = table.Column<string>(type: "text", nullable: false),
                    not_before = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    not_after = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    revoked_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_client_keys", x => new { x.client_id, x.version });
                    table.ForeignKey(
                        name: "fk_client_keys_clients_client_id",
                        column: x => x.client_id,
                        principalTable: "clients",
                        principalColumn: "client_id",
                        onDelete: ReferentialAction.Cascade
                    );
                }
            );

            migrationBuilder.CreateTable(
                name: "payments",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    payment_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    payment_request_id = table.Column<string>(
                        type: "character varying(64)",
                        maxLength: 64,
                        nullable: false
                    ),
                    kind = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                    initiated_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    payer = table.Column<string>(type: "character varying(128)", maxLength: 128, nullable: true),
                    status = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                    captured = table.Column<long>(type: "bigint", nullable: false),
                    refunded = table.Column<long>(type: "bigint", nullable: false),
                    version = table.Column<int>(type: "integer", nullable: false),
                    amount_currency = table.Column<string>(type: "character varying(3)", maxLength: 3, nullable: false),
                    amount_minor_units = table.Column<long>(type: "bigint", nullable: false),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_payments", x => new { x.client_id, x.payment_id });
                    table.CheckConstraint("ck_payments_amount", "amount_minor_units > 0");
                    table.CheckConstraint("ck_payments_captured", "captured BETWEEN 0 AND amount_minor_units");
                    table.CheckConstraint("ck_payments_kind", "kind IN ('PAYMENT', 'AUTHORIZATION')");
                    table.CheckConstraint("ck_payments_refunded", "refunded BETWEEN 0 AND amount_minor_units");
                    table.CheckConstraint(
                        "ck_payments_status",
                        "status IN ('PROCESSING', 'AUTHORIZED', 'SUCCESS', 'CAPTURED', 'REFUNDED', 'FAILED', 'CANCELLED')"
                    );
                    table.ForeignKey(
                        name: "fk_payments_clients_client_id",
                        column: x => x.client_id,
                        principalTable: "clients",
                        principalColumn: "client_id",
                        onDelete: ReferentialAction.Restrict
                    );
                }
            );

            migrationBuilder.CreateTable(
                name: "ledger_entries",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    transaction_id = table.Column<Guid>(type: "uuid", nullable: false),
                    line = table.Column<short>(type: "smallint", nullable: false),
                    account = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                    minor_units = table.Column<long>(type: "bigint", nullable: false),
                    currency = table.Column<string>(type: "character varying(3)", maxLength: 3, nullable: false),
                    at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    payment_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: true),
                },
                constraints: table =>
                {
                    table.PrimaryKey(
                        "pk_ledger_entries",
                        x => new
                        {
                            x.client_id,
                            x.transaction_id,
                            x.line,
                        }
                    );
                    table.CheckConstraint(
                        "ck_ledger_entries_account",
                        "account IN ('MERCHANT', 'PAYERS', 'SETTLEMENT')"
                    );
                    table.CheckConstraint("ck_ledger_entries_amount", "minor_units <> 0");
                    table.ForeignKey(
                        name: "fk_ledger_entries_accounts_client_id_currency",
                        columns: x => new { x.client_id, x.currency },
                        principalTable: "accounts",
                        principalColumns: new[] { "client_id", "currency" },
                        onDelete: ReferentialAction.Restrict
                    );
                }
            );

            migrationBuilder.CreateTable(
                name: "cancellations",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    payment_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    effect = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                    cancelled_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    answer = table.Column<byte[]>(type: "bytea", nullable: false),
                    position = table.Column<long>(type: "bigint", nullable: true),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_cancellations", x => new { x.client_id, x.payment_id });
                    table.CheckConstraint(
                        "ck_cancellations_effect",
                        "effect IN ('CLOSED', 'HOLD_RELEASED', 'REFUNDED')"
                    );
                    table.ForeignKey(
                        name: "fk_cancellations_payments_client_id_payment_id",
                        columns: x => new { x.client_id, x.payment_id },
                        principalTable: "payments",
                        principalColumns: new[] { "client_id", "payment_id" },
                        onDelete: ReferentialAction.Restrict
                    );
                }
            );

            migrationBuilder.CreateTable(
                name: "payment_history",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    payment_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    version = table.Column<int>(type: "integer", nullable: false),
                    action = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                    actor = table.Column<string>(type: "character varying(256)", maxLength: 256, nullable: false),
                    at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    from_status = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: true),
                    to_status = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                    minor_units = table.Column<long>(type: "bigint", nullable: true),
                    remedy = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: true),
                    event_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: true),
                    position = table.Column<long>(type: "bigint", nullable: true),
                },
                constraints: table =>
                {
                    table.PrimaryKey(
                        "pk_payment_history",
                        x => new
                        {
                            x.client_id,
                            x.payment_id,
                            x.version,
                        }
                    );
                    table.ForeignKey(
                        name: "fk_payment_history_payments_client_id_payment_id",
                        columns: x => new { x.client_id, x.payment_id },
                        principalTable: "payments",
                        principalColumns: new[] { "client_id", "payment_id" },
                        onDelete: ReferentialAction.Restrict
                    );
                }
            );

            migrationBuilder.CreateTable(
                name: "payment_requests",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    payment_request_id = table.Column<string>(
                        type: "character varying(64)",
                        maxLength: 64,
                        nullable: false
                    ),
                    payment_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: true),
                    refused_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_payment_requests", x => new { x.client_id, x.payment_request_id });
                    table.CheckConstraint("ck_payment_requests_owner", "(payment_id IS NULL) <> (refused_at IS NULL)");
                    table.ForeignKey(
                        name: "fk_payment_requests_payments_client_id_payment_id",
                        columns: x => new { x.client_id, x.payment_id },
                        principalTable: "payments",
                        principalColumns: new[] { "client_id", "payment_id" },
                        onDelete: ReferentialAction.Restrict
                    );
                }
            );

            migrationBuilder.CreateTable(
                name: "outbox",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    payment_id = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    event_id = table.Column<Guid>(type: "uuid", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    attempts = table.Column<int>(type: "integer", nullable: false),
                    due_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    delivered_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    parked_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    last_error = table.Column<string>(type: "character varying(512)", maxLength: 512, nullable: true),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_outbox", x => new { x.client_id, x.payment_id });
                    table.ForeignKey(
                        name: "fk_outbox_cancellations_client_id_payment_id",
                        columns: x => new { x.client_id, x.payment_id },
                        principalTable: "cancellations",
                        principalColumns: new[] { "client_id", "payment_id" },
                        onDelete: ReferentialAction.Restrict
                    );
                }
            );

            migrationBuilder.CreateIndex(
                name: "ix_cancellations_cancelled_at",
                table: "cancellations",
                column: "cancelled_at"
            );

            migrationBuilder.CreateIndex(
                name: "ix_cancellations_client_id_position",
                table: "cancellations",
                columns: new[] { "client_id", "position" },
                unique: true,
                filter: "position IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_cancellations_unnumbered",
                table: "cancellations",
                column: "client_id",
                filter: "position IS NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_ledger_entries_client_id_currency",
                table: "ledger_entries",
                columns: new[] { "client_id", "currency" }
            );

            migrationBuilder.CreateIndex(
                name: "ix_ledger_entries_client_id_payment_id",
                table: "ledger_entries",
                columns: new[] { "client_id", "payment_id" }
            );

            migrationBuilder.CreateIndex(
                name: "ix_outbox_client_id_due_at",
                table: "outbox",
                columns: new[] { "client_id", "due_at" },
                filter: "due_at IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_outbox_delivered_at",
                table: "outbox",
                column: "delivered_at",
                filter: "delivered_at IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_outbox_parked_at",
                table: "outbox",
                column: "parked_at",
                filter: "parked_at IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_payment_history_client_id_payment_id_event_id",
                table: "payment_history",
                columns: new[] { "client_id", "payment_id", "event_id" },
                unique: true,
                filter: "event_id IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_payment_history_client_id_position",
                table: "payment_history",
                columns: new[] { "client_id", "position" },
                unique: true,
                filter: "position IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_payment_history_unnumbered",
                table: "payment_history",
                column: "client_id",
                filter: "remedy IS NOT NULL AND position IS NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_payment_requests_client_id_payment_id",
                table: "payment_requests",
                columns: new[] { "client_id", "payment_id" },
                unique: true
            );

            migrationBuilder.CreateIndex(
                name: "ix_payment_requests_client_id_refused_at",
                table: "payment_requests",
                columns: new[] { "client_id", "refused_at" },
                filter: "refused_at IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_payments_client_id_request_id",
                table: "payments",
                columns: new[] { "client_id", "payment_request_id" },
                unique: true
            );

            migrationBuilder.CreateIndex(
                name: "ix_transfers_client_id_transaction_id",
                table: "transfers",
                columns: new[] { "client_id", "transaction_id" },
                unique: true
            );
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(name: "client_keys");

            migrationBuilder.DropTable(name: "ledger_entries");

            migrationBuilder.DropTable(name: "outbox");

            migrationBuilder.DropTable(name: "payment_history");

            migrationBuilder.DropTable(name: "payment_requests");

            migrationBuilder.DropTable(name: "transfers");

            migrationBuilder.DropTable(name: "accounts");

            migrationBuilder.DropTable(name: "cancellations");

            migrationBuilder.DropTable(name: "payments");

            migrationBuilder.DropTable(name: "clients");
        }
    }
}
