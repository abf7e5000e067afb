using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace CancelService.Infrastructure.Migrations.Sqlite
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
                    client_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    name = table.Column<string>(type: "TEXT", maxLength: 256, nullable: false),
                    enabled = table.Column<bool>(type: "INTEGER", nullable: false),
                    contract_burst = table.Column<int>(type: "INTEGER", nullable: false),
                    contract_may_cancel = table.Column<bool>(type: "INTEGER", nullable: false),
                    contract_remember_unknown = table.Column<bool>(type: "INTEGER", nullable: false),
                    contract_requests_per_second = table.Column<int>(type: "INTEGER", nullable: false),
                    contract_window = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_clients", x => x.client_id);
                }
            );

            migrationBuilder.CreateTable(
                name: "outbox",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    payment_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    created_at = table.Column<long>(type: "INTEGER", nullable: false),
                    attempts = table.Column<int>(type: "INTEGER", nullable: false),
                    due_at = table.Column<long>(type: "INTEGER", nullable: true),
                    delivered_at = table.Column<long>(type: "INTEGER", nullable: true),
                    parked_at = table.Column<long>(type: "INTEGER", nullable: true),
                    last_error = table.Column<string>(type: "TEXT", maxLength: 512, nullable: true),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_outbox", x => new { x.client_id, x.payment_id });
                }
            );

            migrationBuilder.CreateTable(
                name: "refused_cancels",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    payment_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    payment_request_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    code = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    times = table.Column<int>(type: "INTEGER", nullable: false),
                    first_at = table.Column<long>(type: "INTEGER", nullable: false),
                    last_at = table.Column<long>(type: "INTEGER", nullable: false),
                    key_version = table.Column<int>(type: "INTEGER", nullable: false),
                    trace_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                },
                constraints: table =>
                {
                    table.PrimaryKey(
                        "pk_refused_cancels",
                        x => new
                        {
                            x.client_id,
                            x.payment_id,
                            x.payment_request_id,
                            x.code,
                        }
                    );
                }
            );

            migrationBuilder.CreateTable(
                name: "restores",
                columns: table => new { epoch = table.Column<long>(type: "INTEGER", nullable: false) },
                constraints: table =>
                {
                    table.PrimaryKey("pk_restores", x => x.epoch);
                }
            );

            migrationBuilder.CreateTable(
                name: "accounts",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    currency = table.Column<string>(type: "TEXT", maxLength: 3, nullable: false),
                    balance = table.Column<long>(type: "INTEGER", nullable: false),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_accounts", x => new { x.client_id, x.currency });
                    table.CheckConstraint("ck_accounts_balance_limit", "balance <= 1000000000000000000");
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
                name: "changes",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    number = table.Column<int>(type: "INTEGER", nullable: false),
                    at = table.Column<long>(type: "INTEGER", nullable: false),
                    actor = table.Column<string>(type: "TEXT", maxLength: 256, nullable: false),
                    reason = table.Column<string>(type: "TEXT", maxLength: 512, nullable: false),
                    kind = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                    subject = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    state = table.Column<string>(type: "TEXT", nullable: false),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_changes", x => new { x.client_id, x.number });
                    table.ForeignKey(
                        name: "fk_changes_clients_client_id",
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
                    version = table.Column<int>(type: "INTEGER", nullable: false),
                    client_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    public_key = table.Column<string>(type: "TEXT", nullable: false),
                    not_before = table.Column<long>(type: "INTEGER", nullable: true),
                    not_after = table.Column<long>(type: "INTEGER", nullable: true),
                    revoked_at = table.Column<long>(type: "INTEGER", nullable: true),
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
                    client_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    payment_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    kind = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                    initiated_at = table.Column<long>(type: "INTEGER", nullable: false),
                    payer = table.Column<string>(type: "TEXT", maxLength: 128, nullable: true),
                    status = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                    captured = table.Column<long>(type: "INTEGER", nullable: false),
                    refunded = table.Column<long>(type: "INTEGER", nullable: false),
                    version = table.Column<int>(type: "INTEGER", nullable: false),
                    fence = table.Column<int>(type: "INTEGER", nullable: false, defaultValue: 0),
                    amount_currency = table.Column<string>(type: "TEXT", maxLength: 3, nullable: false),
                    amount_minor_units = table.Column<long>(type: "INTEGER", nullable: false),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_payments", x => new { x.client_id, x.payment_id });
                    table.CheckConstraint("ck_payments_amount", "amount_minor_units > 0");
                    table.CheckConstraint("ck_payments_captured", "captured BETWEEN 0 AND amount_minor_units");
                    table.CheckConstraint("ck_payments_fence", "fence >= 0");
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
                name: "transfers",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    transfer_id = table.Column<Guid>(type: "TEXT", nullable: false),
                    currency = table.Column<string>(type: "TEXT", maxLength: 3, nullable: false),
                    debit = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                    credit = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                    minor_units = table.Column<long>(type: "INTEGER", nullable: false),
                    at = table.Column<long>(type: "INTEGER", nullable: false),
                    payment_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: true),
                    payment_version = table.Column<int>(type: "INTEGER", nullable: true),
                    reference = table.Column<string>(type: "TEXT", maxLength: 64, nullable: true),
                    actor = table.Column<string>(type: "TEXT", maxLength: 256, nullable: true),
                },
                constraints: table =>
                {
                    table.PrimaryKey(
                        "pk_transfers",
                        x => new
                        {
                            x.client_id,
                            x.currency,
                            x.transfer_id,
                        }
                    );
                    table.CheckConstraint(
                        "ck_transfers_accounts",
                        "debit IN ('MERCHANT', 'PAYERS', 'SETTLEMENT') AND credit IN ('MERCHANT', 'PAYERS', 'SETTLEMENT') AND debit <> credit"
                    );
                    table.CheckConstraint("ck_transfers_amount", "minor_units > 0");
                    table.CheckConstraint(
                        "ck_transfers_cause",
                        "(payment_id IS NULL) = (payment_version IS NULL) AND (payment_id IS NULL) <> (reference IS NULL)"
                    );
                    table.ForeignKey(
                        name: "fk_transfers_accounts_client_id_currency",
                        columns: x => new { x.client_id, x.currency },
                        principalTable: "accounts",
                        principalColumns: new[] { "client_id", "currency" },
                        onDelete: ReferentialAction.Restrict
                    );
                }
            );

            migrationBuilder.CreateTable(
                name: "payment_history",
                columns: table => new
                {
                    client_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    payment_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    version = table.Column<int>(type: "INTEGER", nullable: false),
                    action = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                    actor = table.Column<string>(type: "TEXT", maxLength: 256, nullable: false),
                    key_version = table.Column<int>(type: "INTEGER", nullable: true),
                    trace_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: true),
                    at = table.Column<long>(type: "INTEGER", nullable: false),
                    from_status = table.Column<string>(type: "TEXT", maxLength: 16, nullable: true),
                    to_status = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                    minor_units = table.Column<long>(type: "INTEGER", nullable: true),
                    currency = table.Column<string>(type: "TEXT", maxLength: 3, nullable: true),
                    remedy = table.Column<string>(type: "TEXT", maxLength: 16, nullable: true),
                    event_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: true),
                    answer = table.Column<byte[]>(type: "BLOB", nullable: true),
                    position = table.Column<long>(type: "INTEGER", nullable: true),
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
                    table.CheckConstraint("ck_payment_history_amount", "(minor_units IS NULL) = (currency IS NULL)");
                    table.CheckConstraint(
                        "ck_payment_history_cancellation",
                        "CASE action WHEN 'CANCEL' THEN answer IS NOT NULL AND from_status IN ('PROCESSING', 'AUTHORIZED', 'SUCCESS', 'FAILED') ELSE answer IS NULL END"
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
                    client_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    payment_request_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                    payment_id = table.Column<string>(type: "TEXT", maxLength: 64, nullable: true),
                    refused_at = table.Column<long>(type: "INTEGER", nullable: true),
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

            migrationBuilder.CreateIndex(name: "ix_changes_at", table: "changes", column: "at");

            migrationBuilder.CreateIndex(
                name: "ix_changes_client_id_kind_subject_number",
                table: "changes",
                columns: new[] { "client_id", "kind", "subject", "number" }
            );

            migrationBuilder.CreateIndex(
                name: "ix_outbox_client_id_delivered_at",
                table: "outbox",
                columns: new[] { "client_id", "delivered_at" },
                filter: "delivered_at IS NOT NULL"
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
                name: "ix_payment_history_cancellation_unplaced",
                table: "payment_history",
                column: "client_id",
                filter: "action = 'CANCEL' AND position IS NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_payment_history_cancelled_at",
                table: "payment_history",
                column: "at",
                filter: "answer IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_payment_history_late_report_unplaced",
                table: "payment_history",
                column: "client_id",
                filter: "remedy IS NOT NULL AND position IS NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ux_payment_history_cancellation",
                table: "payment_history",
                columns: new[] { "client_id", "payment_id" },
                unique: true,
                filter: "action = 'CANCEL'"
            );

            migrationBuilder.CreateIndex(
                name: "ux_payment_history_cancellation_place",
                table: "payment_history",
                columns: new[] { "client_id", "position" },
                unique: true,
                filter: "action = 'CANCEL' AND position IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ux_payment_history_event_id",
                table: "payment_history",
                columns: new[] { "client_id", "payment_id", "event_id" },
                unique: true,
                filter: "event_id IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ux_payment_history_late_report_place",
                table: "payment_history",
                columns: new[] { "client_id", "position" },
                unique: true,
                filter: "remedy IS NOT NULL AND position IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ix_payment_requests_client_id_refused_at",
                table: "payment_requests",
                columns: new[] { "client_id", "refused_at" },
                filter: "refused_at IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ux_payment_requests_payment_id",
                table: "payment_requests",
                columns: new[] { "client_id", "payment_id" },
                unique: true
            );

            migrationBuilder.CreateIndex(
                name: "ix_refused_cancels_client_id_last_at",
                table: "refused_cancels",
                columns: new[] { "client_id", "last_at" }
            );

            migrationBuilder.CreateIndex(
                name: "ix_refused_cancels_client_id_payment_request_id",
                table: "refused_cancels",
                columns: new[] { "client_id", "payment_request_id" }
            );

            migrationBuilder.CreateIndex(
                name: "ix_refused_cancels_last_at",
                table: "refused_cancels",
                column: "last_at"
            );

            migrationBuilder.CreateIndex(
                name: "ux_transfers_payment_version",
                table: "transfers",
                columns: new[] { "client_id", "payment_id", "payment_version" },
                unique: true,
                filter: "payment_id IS NOT NULL"
            );

            migrationBuilder.CreateIndex(
                name: "ux_transfers_reference",
                table: "transfers",
                columns: new[] { "client_id", "reference" },
                unique: true,
                filter: "reference IS NOT NULL"
            );
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(name: "changes");

            migrationBuilder.DropTable(name: "client_keys");

            migrationBuilder.DropTable(name: "outbox");

            migrationBuilder.DropTable(name: "payment_history");

            migrationBuilder.DropTable(name: "payment_requests");

            migrationBuilder.DropTable(name: "refused_cancels");

            migrationBuilder.DropTable(name: "restores");

            migrationBuilder.DropTable(name: "transfers");

            migrationBuilder.DropTable(name: "payments");

            migrationBuilder.DropTable(name: "accounts");

            migrationBuilder.DropTable(name: "clients");
        }
    }
}
