BEGIN TRANSACTION;
CREATE TABLE api_key (
	tenant TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	project TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	feature TEXT NOT NULL, 
	role SMALLINT NOT NULL, 
	secret_hash TEXT NOT NULL, 
	hint TEXT NOT NULL, 
	create_us BIGINT NOT NULL, 
	expire_us BIGINT, 
	disable_us BIGINT, 
	create_hash TEXT NOT NULL, 
	CONSTRAINT pk_api_key PRIMARY KEY (tenant, key_id), 
	CONSTRAINT uq_api_key_secret_hash UNIQUE (secret_hash)
);
INSERT INTO "api_key" VALUES('acme','k1','','','',1,'c85d84fb2b0a53e2fc3c7f29cac3c6ee1263b0af5fead0136a380c2b71bbcf69','sg_q-23',1773145800000000,NULL,NULL,'f22428b6c2c3815256adb03cb18da487ad3d50fe487e6629cca7bb22cae57f8a');
CREATE TABLE balance (
	budget_number BIGINT NOT NULL, 
	window_start_us BIGINT NOT NULL, 
	settled_nanos BIGINT NOT NULL CONSTRAINT ck_balance_settled_not_negative CHECK (settled_nanos >= 0), 
	reserved_nanos BIGINT NOT NULL CONSTRAINT ck_balance_reserved_not_negative CHECK (reserved_nanos >= 0), 
	revision BIGINT NOT NULL, 
	CONSTRAINT pk_balance PRIMARY KEY (budget_number, window_start_us)
)
 WITHOUT ROWID

;
INSERT INTO "balance" VALUES(1,0,24000,40000,10);
INSERT INTO "balance" VALUES(2,1772323200000000,24000,40000,10);
CREATE TABLE budget (
	number INTEGER NOT NULL, 
	tenant TEXT NOT NULL, 
	budget_id TEXT NOT NULL, 
	project TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	feature TEXT NOT NULL, 
	scope_key TEXT NOT NULL, 
	window_kind SMALLINT NOT NULL, 
	limit_nanos BIGINT NOT NULL CONSTRAINT ck_budget_limit_not_negative CHECK (limit_nanos >= 0), 
	create_us BIGINT NOT NULL, 
	delete_us BIGINT, 
	create_hash TEXT NOT NULL, 
	CONSTRAINT pk_budget PRIMARY KEY (number)
);
INSERT INTO "budget" VALUES(1,'acme','company','','','','','5a278e0c2c206489035c7e264a436c94',1,1000000,1773145800000000,NULL,'5ee3a6dd6e7cc2f6bf8aa73ab3fa7e0d2cb502dff7faf2d6e7a3e95d4f0ea9c2');
INSERT INTO "budget" VALUES(2,'acme','chat','','','','chat','13d6bef1563aa029fe41caa844f5b273',5,500000,1773145800000000,NULL,'48b1aaa51dfc389f8ba9fb1a62d43a3c547d59ecdb706e5eecbd985ad384e01b');
CREATE TABLE budget_line (
	owner_id TEXT NOT NULL, 
	budget_number BIGINT NOT NULL, 
	window_start_us BIGINT NOT NULL, 
	held_nanos BIGINT NOT NULL, 
	CONSTRAINT pk_budget_line PRIMARY KEY (owner_id, budget_number)
)
 WITHOUT ROWID

;
INSERT INTO "budget_line" VALUES('0b83ef8d-92d1-4db3-829f-28c090a4af98',1,0,20000);
INSERT INTO "budget_line" VALUES('0b83ef8d-92d1-4db3-829f-28c090a4af98',2,1772323200000000,20000);
INSERT INTO "budget_line" VALUES('42538f8e-4896-46cb-a617-217480c39323',1,0,20000);
INSERT INTO "budget_line" VALUES('42538f8e-4896-46cb-a617-217480c39323',2,1772323200000000,20000);
INSERT INTO "budget_line" VALUES('4b54f6e8-09c7-4cfd-bbaf-0daf561e52ef',1,0,20000);
INSERT INTO "budget_line" VALUES('4b54f6e8-09c7-4cfd-bbaf-0daf561e52ef',2,1772323200000000,20000);
INSERT INTO "budget_line" VALUES('716d8b52-aa20-4158-ae94-259b801d804a',1,0,20000);
INSERT INTO "budget_line" VALUES('716d8b52-aa20-4158-ae94-259b801d804a',2,1772323200000000,20000);
INSERT INTO "budget_line" VALUES('d66f454b-d11f-4fb2-b799-20347bb66890',1,0,20000);
INSERT INTO "budget_line" VALUES('d66f454b-d11f-4fb2-b799-20347bb66890',2,1772323200000000,20000);
INSERT INTO "budget_line" VALUES('ed35caf2-d719-412b-a894-75cb50daeb85',1,0,20000);
INSERT INTO "budget_line" VALUES('ed35caf2-d719-412b-a894-75cb50daeb85',2,1772323200000000,20000);
CREATE TABLE entry (
	entry_no INTEGER NOT NULL, 
	entry_id TEXT NOT NULL, 
	owner_id TEXT NOT NULL, 
	request_id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	project TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	feature TEXT NOT NULL, 
	session TEXT NOT NULL, 
	tags JSON NOT NULL, 
	kind SMALLINT NOT NULL, 
	outcome SMALLINT NOT NULL, 
	attempt_number INTEGER NOT NULL, 
	model_asked TEXT NOT NULL, 
	model_used TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	cached_input_tokens BIGINT NOT NULL, 
	cache_write_tokens BIGINT NOT NULL, 
	cache_write_1h_tokens BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	reasoning_tokens BIGINT NOT NULL, 
	audio_input_tokens BIGINT NOT NULL, 
	audio_output_tokens BIGINT NOT NULL, 
	usage_source SMALLINT NOT NULL, 
	counterfactuals JSON NOT NULL, 
	cost_nanos BIGINT NOT NULL, 
	counterfactual_nanos BIGINT NOT NULL, 
	saved_cache_nanos BIGINT NOT NULL, 
	saved_routing_nanos BIGINT NOT NULL, 
	saved_compression_nanos BIGINT NOT NULL, 
	overage_nanos BIGINT NOT NULL, 
	price_version TEXT NOT NULL, 
	late BOOLEAN NOT NULL, 
	latency_ms BIGINT NOT NULL, 
	first_token_ms BIGINT NOT NULL, 
	error_reason TEXT NOT NULL, 
	trace_id TEXT NOT NULL, 
	book_us BIGINT NOT NULL, 
	counts_request BOOLEAN NOT NULL, 
	record_hash TEXT NOT NULL, 
	CONSTRAINT pk_entry PRIMARY KEY (entry_no), 
	CONSTRAINT ck_entry_savings_add_up CHECK (cost_nanos + saved_cache_nanos + saved_routing_nanos + saved_compression_nanos = counterfactual_nanos), 
	CONSTRAINT uq_entry_entry_id UNIQUE (entry_id)
);
INSERT INTO "entry" VALUES(1,'9f40a5d7-0f21-439a-bfd7-e2ea7cae9afb','42538f8e-4896-46cb-a617-217480c39323','82791445-78d3-4be5-8625-58203fed0cea','acme','web','ann','','chat','','{}',1,2,1,'auto','cheap','somewhere',0,0,0,0,0,0,0,0,3,'[]',0,0,0,0,0,0,'operator / cheap / 179d4f7d',0,100,0,'','',1773145800000000,0,'');
INSERT INTO "entry" VALUES(2,'a0848566-f92d-4ccf-8ac9-3399a398aab3','42538f8e-4896-46cb-a617-217480c39323','82791445-78d3-4be5-8625-58203fed0cea','acme','web','ann','','chat','','{}',1,1,1,'auto','cheap','somewhere',7,0,0,0,0,0,0,0,1,'[]',7000,7000,0,0,0,0,'operator / cheap / 179d4f7d',0,100,0,'','',1773145800000000,1,'');
INSERT INTO "entry" VALUES(3,'34ac914a-0d44-4d42-a67b-2812a91de5f0','0b83ef8d-92d1-4db3-829f-28c090a4af98','7107bb02-711f-4778-8522-2b4b65beb0f9','acme','web','ann','','chat','','{}',1,2,1,'auto','cheap','somewhere',0,0,0,0,0,0,0,0,3,'[]',0,0,0,0,0,0,'operator / cheap / 179d4f7d',0,100,0,'','',1773145800000000,0,'');
INSERT INTO "entry" VALUES(4,'3de6edeb-c328-4ecd-8a09-130a38f2d7b5','0b83ef8d-92d1-4db3-829f-28c090a4af98','7107bb02-711f-4778-8522-2b4b65beb0f9','acme','web','ann','','chat','','{}',1,1,1,'auto','cheap','somewhere',8,0,0,0,0,0,0,0,1,'[]',8000,8000,0,0,0,0,'operator / cheap / 179d4f7d',0,100,0,'','',1773145800000000,1,'');
INSERT INTO "entry" VALUES(5,'4968ff54-2a10-4c9d-8082-0111fa86571e','716d8b52-aa20-4158-ae94-259b801d804a','82fdce74-85a8-433a-82f9-2d3deaf9b94b','acme','web','ann','','chat','','{}',1,2,1,'auto','cheap','somewhere',0,0,0,0,0,0,0,0,3,'[]',0,0,0,0,0,0,'operator / cheap / 179d4f7d',0,100,0,'','',1773145800000000,0,'');
INSERT INTO "entry" VALUES(6,'3979fb23-3027-4497-9af7-db6d39f960b9','716d8b52-aa20-4158-ae94-259b801d804a','82fdce74-85a8-433a-82f9-2d3deaf9b94b','acme','web','ann','','chat','','{}',1,1,1,'auto','cheap','somewhere',9,0,0,0,0,0,0,0,1,'[]',9000,9000,0,0,0,0,'operator / cheap / 179d4f7d',0,100,0,'','',1773145800000000,1,'');
INSERT INTO "entry" VALUES(7,'3d656076-b4eb-4e6b-b246-9c57fc49607c','d66f454b-d11f-4fb2-b799-20347bb66890','3ed76c1a-0a60-43d2-ab80-d87b6e23dad5','acme','web','ann','','chat','','{}',1,2,1,'auto','cheap','somewhere',0,0,0,0,0,0,0,0,3,'[]',0,0,0,0,0,0,'operator / cheap / 179d4f7d',0,100,0,'','',1773145800000000,1,'');
INSERT INTO "entry" VALUES(8,'624f93ec-99e9-4e38-8b8b-0c9c7d4d44ed','record/624f93ec-99e9-4e38-8b8b-0c9c7d4d44ed','11a93e1b-e1df-4fc2-ad4f-d1bfcdcccdf4','acme','web','ann','','chat','','{}',2,1,0,'auto','cheap','somewhere',0,0,0,0,0,0,0,0,3,'[[1, "cheap", [5, 0, 0, 0, 0, 0, 0, 0]]]',0,5000,5000,0,0,0,'operator / cheap / 179d4f7d',0,100,0,'','',1773145800000000,1,'98657f740d6f4e9a51a6ed926e46fa366bace19130d16b61c0714f8dd5213878');
INSERT INTO "entry" VALUES(9,'e71b4512-4acf-4c6b-a731-361047c6d1c1','record/e71b4512-4acf-4c6b-a731-361047c6d1c1','99867a24-8993-4c90-a8b0-08beae2f4dd6','acme','web','ann','','chat','','{}',2,1,0,'auto','cheap','somewhere',0,0,0,0,0,0,0,0,3,'[[1, "cheap", [9, 0, 0, 0, 0, 0, 0, 0]]]',0,9000,9000,0,0,0,'operator / cheap / 179d4f7d',0,100,0,'','',1773145800000000,1,'b9deda82da2e2ae91e907037a49afe46b1cbb85217e905dad788df83c2359346');
CREATE TABLE hold (
	hold_id TEXT NOT NULL, 
	request_id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	project TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	feature TEXT NOT NULL, 
	session TEXT NOT NULL, 
	tags JSON NOT NULL, 
	held_nanos BIGINT NOT NULL, 
	state SMALLINT NOT NULL, 
	create_us BIGINT NOT NULL, 
	expire_us BIGINT NOT NULL, 
	reserve_hash TEXT NOT NULL, 
	reserve_budget_id TEXT, 
	reserve_left_nanos BIGINT, 
	reserve_limit_nanos BIGINT, 
	resolve_hash TEXT NOT NULL, 
	resolve_budget_id TEXT, 
	resolve_left_nanos BIGINT, 
	resolve_limit_nanos BIGINT, 
	resolve_us BIGINT NOT NULL, 
	CONSTRAINT pk_hold PRIMARY KEY (hold_id)
);
INSERT INTO "hold" VALUES('42538f8e-4896-46cb-a617-217480c39323','82791445-78d3-4be5-8625-58203fed0cea','acme','web','ann','','chat','','{}',20000,2,1773145800000000,1773145920000000,'343f0df866eace8ed7addbdccc5ca6221ae3d8b1c6eb04245dcbbc640245ee0a','chat',480000,500000,'877978b929a0a15ca3dc392e486c819dbb41cde8e11b362daf655970e888bc45','chat',493000,500000,1773145800000000);
INSERT INTO "hold" VALUES('0b83ef8d-92d1-4db3-829f-28c090a4af98','7107bb02-711f-4778-8522-2b4b65beb0f9','acme','web','ann','','chat','','{}',20000,2,1773145800000000,1773145920000000,'01769922af928722c9e7e66ff88ae47305988dcbe9b9972cf2a57f9a963a92e0','chat',473000,500000,'87e19545a82532652d3cc0c26161cc2406929fcd2192c0de73d130bd3e70b88b','chat',485000,500000,1773145800000000);
INSERT INTO "hold" VALUES('716d8b52-aa20-4158-ae94-259b801d804a','82fdce74-85a8-433a-82f9-2d3deaf9b94b','acme','web','ann','','chat','','{}',20000,2,1773145800000000,1773145920000000,'04ace54180555016dc76efcc339edb8d0b0dedb7d2c4a6d13c0d5ffbef5f668f','chat',465000,500000,'c9976572ef586d904b3a4fda6de6b1c8eb69e1bd435fcc70f05e265c0e7f94e2','chat',476000,500000,1773145800000000);
INSERT INTO "hold" VALUES('d66f454b-d11f-4fb2-b799-20347bb66890','3ed76c1a-0a60-43d2-ab80-d87b6e23dad5','acme','web','ann','','chat','','{}',20000,3,1773145800000000,1773145920000000,'6cebfe4202360af806486d16f266a21093a880f4bcfc27e99623e620b7e100ed','chat',456000,500000,'28d71caeec18f63eade323ce102c62c78bd67de53f684a94883dd0f39afb9485','chat',476000,500000,1773145800000000);
INSERT INTO "hold" VALUES('4b54f6e8-09c7-4cfd-bbaf-0daf561e52ef','9cadc7ed-3723-485a-bc00-82375712ec51','acme','web','ann','','chat','','{}',20000,1,1773145800000000,1773145920000000,'1d2580deea7646d69742b9dcd94c73be9ad46571c56013c59414daa6d1928fde','chat',456000,500000,'',NULL,NULL,NULL,0);
INSERT INTO "hold" VALUES('ed35caf2-d719-412b-a894-75cb50daeb85','e2fb26ee-13b9-4586-adf5-7750e364585b','acme','web','ann','','chat','','{}',20000,1,1773145800000000,1773145920000000,'8b3225de354a3272ebda1e4ee09c5fec07e3c4ce8d0cdbbcf5f233faf6d3e3bd','chat',436000,500000,'',NULL,NULL,NULL,0);
CREATE TABLE rollup_hour (
	tenant TEXT NOT NULL, 
	hour_us BIGINT NOT NULL, 
	project TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	feature TEXT NOT NULL, 
	model TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	kind SMALLINT NOT NULL, 
	request_count BIGINT NOT NULL, 
	hit_count BIGINT NOT NULL, 
	error_count BIGINT NOT NULL, 
	attempt_count BIGINT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	cost_nanos BIGINT NOT NULL, 
	counterfactual_nanos BIGINT NOT NULL, 
	saved_cache_nanos BIGINT NOT NULL, 
	saved_routing_nanos BIGINT NOT NULL, 
	saved_compression_nanos BIGINT NOT NULL, 
	latency_ms BIGINT NOT NULL, 
	CONSTRAINT pk_rollup_hour PRIMARY KEY (tenant, hour_us, project, user_id, feature, model, provider, kind), 
	CONSTRAINT ck_rollup_hour_request_count_range CHECK (request_count BETWEEN -9223372036854775807 AND 9223372036854775807), 
	CONSTRAINT ck_rollup_hour_hit_count_range CHECK (hit_count BETWEEN -9223372036854775807 AND 9223372036854775807), 
	CONSTRAINT ck_rollup_hour_error_count_range CHECK (error_count BETWEEN -9223372036854775807 AND 9223372036854775807), 
	CONSTRAINT ck_rollup_hour_attempt_count_range CHECK (attempt_count BETWEEN -9223372036854775807 AND 9223372036854775807), 
	CONSTRAINT ck_rollup_hour_input_tokens_range CHECK (input_tokens BETWEEN -9223372036854775807 AND 9223372036854775807), 
	CONSTRAINT ck_rollup_hour_output_tokens_range CHECK (output_tokens BETWEEN -9223372036854775807 AND 9223372036854775807), 
	CONSTRAINT ck_rollup_hour_cost_nanos_range CHECK (cost_nanos BETWEEN -9223372036854775807 AND 9223372036854775807), 
	CONSTRAINT ck_rollup_hour_counterfactual_nanos_range CHECK (counterfactual_nanos BETWEEN -9223372036854775807 AND 9223372036854775807), 
	CONSTRAINT ck_rollup_hour_saved_cache_nanos_range CHECK (saved_cache_nanos BETWEEN -9223372036854775807 AND 9223372036854775807), 
	CONSTRAINT ck_rollup_hour_saved_routing_nanos_range CHECK (saved_routing_nanos BETWEEN -9223372036854775807 AND 9223372036854775807), 
	CONSTRAINT ck_rollup_hour_saved_compression_nanos_range CHECK (saved_compression_nanos BETWEEN -9223372036854775807 AND 9223372036854775807), 
	CONSTRAINT ck_rollup_hour_latency_ms_range CHECK (latency_ms BETWEEN -9223372036854775807 AND 9223372036854775807)
)
 WITHOUT ROWID

;
INSERT INTO "rollup_hour" VALUES('acme',1773144000000000,'web','ann','chat','cheap','somewhere',1,4,0,1,7,24,0,24000,24000,0,0,0,400);
INSERT INTO "rollup_hour" VALUES('acme',1773144000000000,'web','ann','chat','cheap','somewhere',2,2,2,0,0,0,0,0,14000,14000,0,0,200);
CREATE UNIQUE INDEX uq_budget_living_id ON budget (tenant, budget_id) WHERE delete_us IS NULL;
CREATE INDEX ix_budget_living_scope ON budget (scope_key) WHERE delete_us IS NULL;
CREATE INDEX ix_hold_pending_expiry ON hold (expire_us) WHERE state = 1;
CREATE INDEX ix_entry_owner_id ON entry (owner_id);
CREATE INDEX ix_entry_tenant_entry_no ON entry (tenant, entry_no);
CREATE INDEX ix_entry_tenant_request_id ON entry (tenant, request_id);
COMMIT;
