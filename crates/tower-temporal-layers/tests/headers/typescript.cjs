// Writes what the TypeScript SDK's own interceptor writes into the header `_tracer-data`, as JSON:
//
//     npm install @temporalio/interceptors-opentelemetry @opentelemetry/sdk-trace-base @opentelemetry/core @opentelemetry/api
//     node typescript.cjs > typescript.json
//
// It was run with 1.24.0 of the interceptors and 2.12.1 of OpenTelemetry. The ids and the tracestate are those of `src/otel/tests.rs`.

const otel = require('@opentelemetry/api');
const core = require('@opentelemetry/core');
const { BasicTracerProvider } = require('@opentelemetry/sdk-trace-base');
const { OpenTelemetryWorkflowClientInterceptor } = require('@temporalio/interceptors-opentelemetry');

// Calls are made one after another, so a stack is context enough.
const stack = [otel.ROOT_CONTEXT];
const manager = {
  active: () => stack[stack.length - 1],
  with(context, f, self, ...args) {
    stack.push(context);
    const result = f.call(self, ...args);
    return Promise.resolve(result).finally(() => stack.pop());
  },
  bind: (_, f) => f,
  enable() { return this; },
  disable() { return this; },
};
otel.context.setGlobalContextManager(manager);
otel.propagation.setGlobalPropagator(
  new core.CompositePropagator({
    propagators: [new core.W3CTraceContextPropagator(), new core.W3CBaggagePropagator()],
  }),
);

const TRACE = '00000000000000000000000000000011';
const idGenerator = {
  generateTraceId: () => TRACE,
  generateSpanId: () => '0000000000000022',
};

async function written(tracestate, bags) {
  const tracer = new BasicTracerProvider({ idGenerator }).getTracer('test');
  let context = otel.ROOT_CONTEXT;
  if (tracestate) {
    context = otel.trace.setSpanContext(context, {
      traceId: TRACE,
      spanId: '0000000000000033',
      isRemote: true,
      traceFlags: otel.TraceFlags.SAMPLED,
      traceState: new core.TraceState(tracestate),
    });
  }
  if (Object.keys(bags).length > 0) {
    const entries = Object.entries(bags).map(([key, value]) => [key, { value }]);
    context = otel.propagation.setBaggage(context, otel.propagation.createBaggage(Object.fromEntries(entries)));
  }
  let payload;
  const input = { workflowType: 'Order', headers: {}, options: { workflowId: 'order-1' } };
  const interceptor = new OpenTelemetryWorkflowClientInterceptor({ tracer });
  await otel.context.with(context, () =>
    interceptor.start(input, async ({ headers }) => {
      payload = headers['_tracer-data'];
      return 'run-1';
    }),
  );
  const text = (bytes) => Buffer.from(bytes).toString();
  return {
    metadata: Object.fromEntries(Object.entries(payload.metadata).map(([key, value]) => [key, text(value)])),
    data: text(payload.data),
  };
}

(async () => {
  const cases = {
    'nothing else': await written('', {}),
    baggage: await written('', { tenant: 'acme' }),
    'tracestate and baggage': await written('vendor=value', { tenant: 'acme' }),
  };
  console.log(JSON.stringify(cases, null, 2));
})();
