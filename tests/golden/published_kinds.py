"""More chat templates, one for each kind of published template: their features, in our own words and tokens. The key names
the family whose public template has these features."""

KINDS = {}

# Llama: BOS on the first message, vision parts, builtin tools, code answers.
KINDS["llama3"] = r"""{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|sh|>' + message['role'] + '<|eh|>

'+ message['content'] | trim + '<|eot|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|sh|>assistant<|eh|>

' }}{% endif %}"""
KINDS["llama3.2-vision"] = r"""{{- bos_token }}
{%- set pictures = namespace(any=false) %}
{%- for message in messages %}{%- for part in message['content'] if message['content'] is not string %}
{%- if part['type'] == 'image' %}{%- set pictures.any = true %}{%- endif %}{%- endfor %}{%- endfor %}
{%- if pictures.any and messages[0].role == 'system' %}{{- raise_exception("no system text beside pictures") }}{%- endif %}
{%- for message in messages %}
{{- '<|sh|>' + message['role'] + '<|eh|>\n\n' }}
{%- if message['content'] is string %}{{- message['content'] }}{%- else %}
{%- for part in message['content'] %}
{%- if part['type'] == 'image' %}{{- '<|image|>' }}{%- elif part['type'] == 'text' %}{{- part['text'] }}{%- endif %}
{%- endfor %}{%- endif %}
{{- '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|sh|>assistant<|eh|>\n\n' }}{%- endif %}"""
KINDS["llama4"] = r"""{{- bos_token }}{%- if messages[0]['role'] == 'system' %}
{%- if messages[0]['content'] is string %}{%- set system_message = messages[0]['content']|trim %}
{%- else %}{%- set system_message = messages[0]['content'][0]['text']|trim %}{%- endif %}
{%- set messages = messages[1:] %}{%- set user_supplied = true %}{%- else %}{%- set system_message = "" %}{%- endif %}
{%- if user_supplied or tools %}{{- "<|hs|>system<|he|>\n\n" }}{%- if tools %}{{- "Environment: ipython\n" }}
{%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\n\n" }}{%- endfor %}{%- endif %}{{- system_message }}{{- "<|eot|>" }}{%- endif %}
{%- for message in messages %}
{%- if message.role in ('tool', 'ipython') %}{{- "<|hs|>ipython<|he|>\n\n" }}
{%- if message.content is mapping or message.content is iterable %}{{- message.content | tojson }}{%- else %}{{- message.content }}{%- endif %}{{- "<|eot|>" }}
{%- elif message.tool_calls is defined and message.tool_calls|length > 0 %}{{- '<|hs|>assistant<|he|>\n\n<|py|>' }}
{%- if message['content'] is string %}{{- message['content'] }}{%- else %}{%- for c in message['content'] %}{{- c['text'] }}{%- endfor %}{%- endif %}
{%- for tool_call in message.tool_calls %}{{- '{"name": "' + tool_call.function.name + '", ' }}{{- '"parameters": ' }}{{- tool_call.function.arguments | tojson }}{{- "}" }}{%- endfor %}{{- "<|eot|>" }}
{%- else %}{{- '<|hs|>' + message['role'] + '<|he|>\n\n' }}{%- if message['content'] is string %}{{- message['content'] }}{%- else %}{%- for c in message['content'] %}{%- if c['type'] == 'text' %}{{- c['text'] | trim }}{%- endif %}{%- endfor %}{%- endif %}{{- "<|eot|>" }}{%- endif %}
{%- endfor %}{%- if add_generation_prompt %}{{- '<|hs|>assistant<|he|>\n\n' }}{%- endif %}"""
KINDS["codellama"] = r"""{% if messages[0]['role'] == 'system' %}{% set user_index = 1 %}{% else %}{% set user_index = 0 %}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != ((loop.index0 + user_index) % 2 == 0) %}{{ raise_exception('order: ' ~ loop.index) }}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + message['content'].strip() + ' [/INST]' }}{% elif message['role'] == 'system' %}{{ '<<SYS>>\\n' + message['content'].strip() + '\\n<</SYS>>\\n\\n' }}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""

# Mistral: dates, thinking parts, system prompt blocks, arguments that are texts or objects.
KINDS["mistral-small-3"] = r"""{%- set today = strftime_now("%Y-%m-%d") %}
{%- set default_system_message = "You answer.\nToday is " + today + ".\n\nBe brief." %}
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- if messages[0]['content'] is string %}{%- set system_message = messages[0]['content'] %}
    {%- else %}{%- set system_message = messages[0]['content'][0]['text'] %}{%- endif %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set system_message = default_system_message %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- '[SYS]' + system_message + '[/SYS]' }}
{%- for message in loop_messages %}
    {%- if message['role'] == 'user' %}
        {%- if message['content'] is string %}{{- '[INST]' + message['content'] + '[/INST]' }}
        {%- else %}{{- '[INST]' }}
            {%- for block in message['content'] %}
                {%- if block['type'] == 'text' %}{{- block['text'] }}
                {%- elif block['type'] in ['image', 'image_url'] %}{{- '[IMG]' }}
                {%- else %}{{- raise_exception('Only text and images: ' + block['type']) }}{%- endif %}
            {%- endfor %}{{- '[/INST]' }}
        {%- endif %}
    {%- elif message['role'] == 'system' %}{{- '[SYS]' + message['content'] + '[/SYS]' }}
    {%- elif message['role'] == 'assistant' %}{{- message['content'] + eos_token }}
    {%- else %}{{- raise_exception('Only user, system and assistant roles!') }}{%- endif %}
{%- endfor %}"""
KINDS["magistral"] = r"""{{- bos_token }}{%- for message in messages %}
{%- if message.role == 'assistant' and (message.reasoning_content or message.content) %}
{%- if message.reasoning_content %}{{- '[THINK]' + message.reasoning_content + '[/THINK]' }}{%- endif %}
{%- if message.content is string %}{{- message.content }}{%- elif message.content | length > 0 %}
{%- for chunk in message.content %}{%- if chunk.type == 'thinking' %}{{- '[THINK]' + chunk.thinking + ('' if chunk.closed is false else '[/THINK]') }}{%- else %}{{- chunk.text }}{%- endif %}{%- endfor %}{%- endif %}{{- eos_token }}
{%- elif message.role in ['user', 'system'] %}{{- '[' ~ message.role|upper ~ ']' ~ (message.content if message.content is string else message.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join) ~ '[/' ~ message.role|upper ~ ']' }}
{%- elif message.role == 'tool' %}{{- '[RESULTS]' ~ message.content|string ~ '[/RESULTS]' }}{%- endif %}{%- endfor %}"""
KINDS["mistral-large-tools"] = r"""{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- set users = messages | selectattr("role", "equalto", "user") | list %}
{#- Turns must alternate, tool turns left out. #}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in messages if message.role != 'system' %}
    {%- if not (message.role in ["tool", "tool_results"] or message.tool_calls is defined) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}{{- raise_exception("roles must alternate") }}{%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and message == users[-1] %}{{- "[TOOLS]" + (tools | tojson) + "[/TOOLS]" }}{%- endif %}
        {{- "[INST] " ~ (message.content | string) ~ "[/INST]" }}
    {%- elif message.tool_calls is defined %}
        {{- "[CALLS] " }}{%- for call in message.tool_calls -%}
            {{- call.function.name ~ "[ARGS]" }}
            {%- set args = call.function.arguments %}
            {%- if args is not string %}{%- set args = args | tojson %}{%- elif args == '' %}{%- set args = '{}' %}{%- endif %}
            {{- args }}{%- if call.id and call.id != 'null' %}{{- "[ID]" + call.id }}{%- endif %}
        {%- endfor %}{{- eos_token }}
    {%- elif message["role"] == "assistant" %}{{- " " + message["content"] + eos_token }}
    {%- elif message["role"] == "tool" %}{{- "[RESULTS] " ~ {"content": message.content, "call_id": message.tool_call_id} | tojson ~ "[/RESULTS]" }}
    {%- endif %}
{%- endfor %}"""
KINDS["pixtral"] = r"""{{- bos_token }}{% for message in messages %}{%- if message.role == 'user' %}{%- if loop.last and messages[0].role == 'system' %}{{- '[INST]' + messages[0].content + '\n\n' }}{%- else %}{{- '[INST]' }}{%- endif %}{%- if message.content is not string %}{%- for chunk in message.content %}{%- if chunk.type == 'text' %}{{- chunk.text if not chunk.content is defined else chunk.content }}{%- elif chunk.type == 'image' %}{{- '[IMG]' }}{%- else %}{{- raise_exception('Unrecognized content type!') }}{%- endif %}{%- endfor %}{%- else %}{{- message.content }}{%- endif %}{{- '[/INST]' }}{%- elif message.role == 'assistant' %}{{- message.content + eos_token }}{%- endif %}{% endfor %}"""

# DeepSeek: plain turns, the thinking dropped from history, first-tool state, a prefill that closes the thinking.
KINDS["deepseek-v2"] = r"""{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ 'User: ' + message['content'] + '

' }}{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] + eos_token }}{% elif message['role'] == 'system' %}{{ message['content'] + '

' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""
KINDS["deepseek-r1"] = r"""{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is none %}{%- set ns.is_tool = false -%}{%- for tool in message['tool_calls']%}{%- if not ns.is_first %}{{'<｜Assistant｜><｜calls｜>' + tool['type'] + '<｜sep｜>' + tool['function']['name'] + '\n' + '```json' + '\n' + tool['function']['arguments'] + '\n' + '```'}}{%- set ns.is_first = true -%}{%- else %}{{'\n' + tool['type']}}{{'<｜end｜>'}}{%- endif %}{%- endfor %}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{%- if ns.is_tool %}{{'<｜outs｜>' + message['content'] + '<｜eos｜>'}}{%- set ns.is_tool = false -%}{%- else %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜eos｜>'}}{%- endif %}{%- endif %}{%- if message['role'] == 'tool' %}{%- set ns.is_tool = true -%}{%- if ns.is_output_first %}{{'<｜out｜>' + message['content'] + '</out>'}}{%- set ns.is_output_first = false %}{%- else %}{{'\n<｜out｜>' + message['content'] + '</out>'}}{%- endif %}{%- endif %}{%- endfor -%}{% if ns.is_tool %}{{'<｜outs｜>'}}{% endif %}{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜><think>\n'}}{% endif %}"""
KINDS["deepseek-coder"] = r"""{% if not add_generation_prompt is defined %}
{% set add_generation_prompt = false %}
{% endif %}
{%- set ns = namespace(found=false) -%}
{%- for message in messages -%}
    {%- if message['role'] == 'system' -%}
        {%- set ns.found = true -%}
    {%- endif -%}
{%- endfor -%}
{{bos_token}}{%- if not ns.found -%}
{{'You program.\n'}}
{%- endif %}
{%- for message in messages %}
    {%- if message['role'] == 'system' %}
{{ message['content'] }}
    {%- else %}
        {%- if message['role'] == 'user' %}
{{'### Instruction:\n' + message['content'] + '\n'}}
        {%- else %}
{{'### Response:\n' + message['content'] + '\n<|EOT|>\n'}}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{% if add_generation_prompt %}
{{'### Response:'}}
{% endif %}"""

# Qwen: a default system text on the first turn, vision counters, nested macros that write XML, thinking by option.
KINDS["qwen2"] = r"""{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|s|>system
You help.<|e|>
' }}{% endif %}{{'<|s|>' + message['role'] + '
' + message['content'] + '<|e|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|s|>assistant
' }}{% endif %}"""
KINDS["qwen2-vl"] = r"""{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in messages %}<|s|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}<|e|>
{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|v|>{% elif content['type'] == 'video' or 'video' in content %}{% set video_count.value = video_count.value + 1 %}<|w|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|e|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|s|>assistant
{% endif %}"""
KINDS["qwen3-coder"] = r"""{%- macro render_list(items, tag='required') %}
    {%- if items is defined and items is iterable and items | length > 0 %}
        {%- if tag %}{{- '\n<' ~ tag ~ '>[' -}}{% endif %}
        {%- for item in items %}{%- if loop.index > 1 %}{{- ", "}}{% endif -%}
            {%- if item is string -%}{{ "`" ~ item ~ "`" }}{%- else -%}{{ item }}{%- endif -%}
        {%- endfor -%}
        {%- if tag %}{{- ']</' ~ tag ~ '>' -}}{% endif %}
    {%- endif %}
{%- endmacro %}
{%- macro render_extra(dict, handled) -%}
    {%- if dict is mapping %}{%- for key in dict %}{%- if key not in handled %}
        {%- if dict[key] is mapping or (dict[key] is sequence and dict[key] is not string) %}
            {{- '\n<' ~ key ~ '>' ~ (dict[key] | tojson | safe) ~ '</' ~ key ~ '>' }}
        {%- else %}{{- '\n<' ~ key ~ '>' ~ (dict[key] | string) ~ '</' ~ key ~ '>' }}{%- endif %}
    {%- endif %}{%- endfor %}{%- endif %}
{%- endmacro -%}
{%- if messages[0]["role"] == "system" %}{%- set system_message = messages[0]["content"] %}{%- set loop_messages = messages[1:] %}
{%- else %}{%- set loop_messages = messages %}{%- endif %}
{%- if not tools is defined %}{%- set tools = [] %}{%- endif %}
{%- if system_message is defined %}{{- "<|s|>system\n" + system_message }}{%- endif %}
{%- if tools is iterable and tools | length > 0 %}
    {%- for tool in tools %}
        {%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}
        {{- "\n<function>\n<name>" ~ tool.name ~ "</name>" }}
        {%- if tool.description is defined %}{{- '\n<description>' ~ (tool.description | trim) ~ '</description>' }}{%- endif %}
        {%- if tool.parameters is defined and tool.parameters is mapping and tool.parameters.properties is defined %}
            {%- for name, fields in tool.parameters.properties|items %}
                {{- '\n<parameter>\n<name>' ~ name ~ '</name>' }}
                {%- if fields.type is defined %}{{- '\n<type>' ~ (fields.type | string) ~ '</type>' }}{%- endif %}
                {{- render_list(fields.enum, 'enum') }}
                {{- render_extra(fields, ['name', 'type', 'description', 'enum', 'required']) }}
            {%- endfor %}
        {%- endif %}
        {{- render_list(tool.parameters.required) }}
    {%- endfor %}
{%- endif %}
{%- for message in loop_messages %}
    {%- if message.role == "assistant" and message.tool_calls is defined and message.tool_calls is iterable and message.tool_calls | length > 0 %}
        {%- if message.content is defined and message.content is string and message.content | trim | length > 0 %}{{- '\n' + message.content | trim + '\n' }}{%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '\n<call=' + tool_call.name + '>\n' }}
            {%- if tool_call.arguments is defined %}{%- for name, value in tool_call.arguments|items %}
                {{- '<p=' + name + '>\n' }}
                {%- set value = value if value is string else value | tojson | safe %}
                {{- value }}{{- '\n</p>\n' }}
            {%- endfor %}{%- endif %}
        {%- endfor %}
    {%- elif message.role == "tool" %}
        {%- if loop.previtem and loop.previtem.role != "tool" %}{{- '<|s|>user\n' }}{%- endif %}
        {{- message.content ~ '\n' }}
        {%- if not loop.last and loop.nextitem.role != "tool" %}{{- '<|e|>\n' }}{%- elif loop.last %}{{- '<|e|>\n' }}{%- endif %}
    {%- else %}{{- '<|s|>' + message.role + '\n' ~ message.content ~ '<|e|>\n' }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|s|>assistant\n' }}{%- endif %}"""
KINDS["qwen3.5"] = r"""{%- set counter = namespace(value=0) %}
{%- macro render(content, count) %}
    {%- if content is string %}{{- content }}
    {%- elif content is iterable and content is not mapping %}
        {%- for item in content %}
            {%- if 'image' in item or item.type == 'image' %}{%- if count %}{%- set counter.value = counter.value + 1 %}{%- endif %}{{- '<pic ' ~ counter.value ~ '>' }}
            {%- elif 'text' in item %}{{- item.text }}
            {%- else %}{{- raise_exception('Unexpected item type in content.') }}{%- endif %}
        {%- endfor %}
    {%- elif content is none or content is undefined %}{{- '' }}
    {%- else %}{{- raise_exception('Unexpected content type.') }}{%- endif %}
{%- endmacro %}
{%- if not messages %}{{- raise_exception('No messages provided.') }}{%- endif %}
{%- set ns = namespace(multi=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi and message.role == "user" %}
        {%- set content = render(message.content, false)|trim %}
        {%- if not(content.startswith('<r>') and content.endswith('</r>')) %}{%- set ns.multi = false %}{%- set ns.last = index %}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if ns.multi %}{{- raise_exception('No user query found in messages.') }}{%- endif %}
{%- for message in messages %}
    {%- set content = render(message.content, true)|trim %}
    {%- if message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}{%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {%- set reasoning = reasoning|trim %}
        {%- if loop.index0 > ns.last %}{{- '<|s|>assistant\n<think>\n' + reasoning + '\n</think>\n\n' + content }}
        {%- else %}{{- '<|s|>assistant\n' + content }}{%- endif %}
        {%- if message.tool_calls and message.tool_calls is iterable and message.tool_calls is not mapping %}
            {%- for call in message.tool_calls %}
                {%- if loop.first %}{%- if content|trim %}{{- '\n\n' }}{%- endif %}{%- else %}{{- '\n' }}{%- endif %}
                {{- '<call=' + call.function.name + '>' }}
                {%- for name, value in call.function.arguments|items %}
                    {{- '<' + name + '>' }}{{- value | tojson | safe if value is mapping or (value is sequence and value is not string) else value | string }}
                {%- endfor %}
            {%- endfor %}
        {%- endif %}
        {{- '<|e|>\n' }}
    {%- else %}{{- '<|s|>' + message.role + '\n' + content + '<|e|>\n' }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|s|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- else %}{{- '<think>\n' }}{%- endif %}
{%- endif %}"""

# Gemma: no system role, declarations of functions with sorted keys and types in capitals.
KINDS["gemma1"] = r"""{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<turn>' + role + '
' + message['content'] | trim + '</turn>
' }}{% endfor %}{% if add_generation_prompt %}{{'<turn>model
'}}{% endif %}"""
KINDS["function-gemma"] = r"""{%- macro properties(all, required) -%}
    {%- set standard = ['description', 'type', 'properties', 'required', 'nullable'] -%}
    {%- set ns = namespace(found_first=false) -%}
    {%- for key, value in all | dictsort -%}
        {%- if key not in standard -%}
            {%- if ns.found_first %},{% endif -%}{%- set ns.found_first = true -%}
            {{- key }}:{description:<q>{{ value.description }}<q>
            {%- if value.type is string and value.type | upper == 'STRING' -%}
                {%- if value.enum -%},enum:{{ argument(value.enum) }}{%- endif -%}
            {%- elif value.type is string and value.type | upper == 'OBJECT' -%}
                ,properties:{
                {%- if value.properties is defined and value.properties is mapping -%}{{- properties(value.properties, value.required | default([])) -}}{%- endif -%}
                }
                {%- if value.required -%},required:[{%- for item in value.required | default([]) -%}<q>{{- item -}}<q>{%- if not loop.last %},{% endif -%}{%- endfor -%}]{%- endif -%}
            {%- endif -%}
            ,type:<q>{{ value.type | upper if value.type is string else value.type | map('upper') | join('|') }}<q>}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro -%}
{%- macro argument(value, escape_keys=True) -%}
    {%- if value is string -%}{{- '<q>' + value + '<q>' -}}
    {%- elif value is boolean -%}{{- 'true' if value else 'false' -}}
    {%- elif value is mapping -%}
        {{- '{' -}}{%- set ns = namespace(first=false) -%}
        {%- for k, v in value | dictsort -%}
            {%- if ns.first %},{% endif -%}{%- set ns.first = true -%}
            {%- if escape_keys -%}{{- '<q>' + k + '<q>' -}}{%- else -%}{{- k -}}{%- endif -%}:{{- argument(v, escape_keys=escape_keys) -}}
        {%- endfor -%}{{- '}' -}}
    {%- elif value is sequence -%}
        {{- '[' -}}{%- for item in value -%}{{- argument(item, escape_keys=escape_keys) -}}{%- if not loop.last %},{% endif -%}{%- endfor -%}{{- ']' -}}
    {%- else -%}{{- value -}}{%- endif -%}
{%- endmacro -%}
{{- bos_token -}}
{%- if tools -%}<turn>developer
{% for tool in tools %}{{- '<declare>' + tool.function.name + '{' + properties(tool.function.parameters.properties, tool.function.parameters.required) + '}' -}}{% endfor %}</turn>
{% endif %}
{%- for message in messages -%}
    <turn>{{ 'model' if message.role == 'assistant' else message.role }}
{% if message.content is string %}{{ message.content | trim }}{% elif message.content is iterable %}{% for item in message.content %}{{ item.text | trim if item.type == 'text' }}{% endfor %}{% endif %}
    {%- if message.tool_calls -%}{%- for call in message.tool_calls -%}<call>{{ call.function.name }}{{ argument(call.function.arguments, escape_keys=False) if call.function.arguments is mapping else call.function.arguments }}</call>{%- endfor -%}{%- endif -%}
    </turn>
{% endfor -%}
{%- if add_generation_prompt -%}{{- '<turn>model\n' -}}{%- endif -%}"""
